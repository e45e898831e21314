package dev.keepstone.store.fact;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.fact.Fact.Deleted;
import dev.keepstone.store.fact.Fact.Durable;
import dev.keepstone.store.fact.Fact.Metrics;
import dev.keepstone.store.fact.Fact.Note;
import dev.keepstone.store.fact.Fact.Pin;
import dev.keepstone.store.fact.Fact.Policy;
import dev.keepstone.store.fact.Fact.Tag;
import dev.keepstone.store.fact.Fact.Verdict;
import dev.keepstone.store.object.Alike;
import dev.keepstone.store.object.Row;
import dev.keepstone.store.reference.CheckpointId;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Facts as rows of a snapshot: what is said, by whom, the stamp's time in ms since 1970, sequence
/// and index; of a fact about a checkpoint then its start and step, and of a number its value.
///
/// What is said and by whom are spelled out once ([Alike]): of a hundred thousand checkpoints the
/// same few things are said.
final class FactRows {
  private static final int STAMP = 5;
  private static final int ABOUT = 7;

  /// Stands where a fact is spelled out for all checkpoints of which it is said.
  private static final CheckpointId ANY = new CheckpointId(1, 0);

  private FactRows() {}

  /// Who wrote a fact.
  private record Author(String writer, String by) {
    Json toJson() {
      return Json.array(List.of(Json.of(writer), Json.of(by)));
    }

    static Author read(Json json) {
      if (json instanceof Json.Array(List<Json> two)
          && two.size() == 2
          && two.get(0) instanceof Json.Text(String writer)
          && two.get(1) instanceof Json.Text(String by)) {
        FactLimits.requireText("by", by);
        return new Author(writer, by);
      }
      throw new JsonException("expected a writer, and who that is for people");
    }
  }

  /// Writes rows, of which each may mention what those before it spelled out.
  static final class Writer {
    private final Alike.Writer<Json.Obj> said = new Alike.Writer<>();
    private final Alike.Writer<Author> authors = new Alike.Writer<>();

    Json row(Stamped<?> stamped) {
      Stamp stamp = stamped.stamp();
      List<Json> row = new ArrayList<>(ABOUT + 1);
      row.add(said.mention(FactCodec.said(stamped.fact()), form -> form));
      row.add(authors.mention(new Author(stamp.writer(), stamped.by()), Author::toJson));
      row.add(Json.of(stamp.at().toEpochMilli()));
      row.add(Json.of(stamp.sequence()));
      row.add(Json.of(stamp.index()));
      switch (stamped.fact()) {
        case Durable(CheckpointId id, double ms) -> about(row, id).add(Json.of(ms));
        case Metrics(CheckpointId id, Json.Obj metrics) ->
            about(row, id).add(FactCodec.only(metrics).getValue());
        case Pin pin -> about(row, pin.id());
        case Note note -> about(row, note.id());
        case Verdict verdict -> about(row, verdict.id());
        case Deleted deleted -> about(row, deleted.id());
        case Tag tag -> tag.id().ifPresent(id -> about(row, id));
        case Policy policy -> {}
      }
      return Json.array(row);
    }

    private static List<Json> about(List<Json> row, CheckpointId id) {
      row.add(Json.of(id.start()));
      row.add(Json.of(id.step()));
      return row;
    }
  }

  /// Reads rows in their order. Of what many rows have alike one copy is kept.
  static final class Reader {
    private final Alike.Reader<Fact> said =
        new Alike.Reader<>(json -> FactCodec.readSaid(Row.object(json), ANY));
    private final Alike.Reader<Author> authors = new Alike.Reader<>(Author::read);
    private Instant at = Instant.EPOCH;
    private CheckpointId last = ANY;

    Stamped<?> read(Row row) {
      Fact form = said.read(row.get(0));
      Author author = authors.read(row.get(1));
      long ms = row.integer(2);
      if (at.toEpochMilli() != ms) {
        at = Stamp.requireTime(Instant.ofEpochMilli(ms));
      }
      Stamp stamp = new Stamp(at, author.writer, row.integer(3), row.count(4, 0));
      Fact fact =
          switch (form) {
            case Durable _ -> new Durable(about(row), row.real(ABOUT));
            case Metrics(_, Json.Obj metrics) ->
                new Metrics(
                    about(row),
                    new Json.Obj(Map.of(FactCodec.only(metrics).getKey(), row.get(ABOUT))));
            case Pin(_, boolean pinned, String why) -> new Pin(about(row), pinned, why);
            case Note(_, String text) -> new Note(about(row), text);
            case Verdict(_, boolean deep, boolean good, String detail) ->
                new Verdict(about(row), deep, good, detail);
            case Deleted(_, int k, Fact.Act act, String why, String by) ->
                new Deleted(about(row), k, act, why, by);
            case Tag(String tag, _) ->
                new Tag(tag, row.size() == STAMP ? Optional.empty() : Optional.of(about(row)));
            case Policy policy -> policy;
          };
      return new Stamped<>(stamp, author.by, fact);
    }

    /// Facts of one checkpoint often stand together.
    private CheckpointId about(Row row) {
      CheckpointId id = row.id(STAMP);
      last = id.equals(last) ? last : id;
      return last;
    }
  }
}
