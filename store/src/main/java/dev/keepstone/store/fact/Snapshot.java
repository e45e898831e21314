package dev.keepstone.store.fact;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.manifest.SummaryRows;
import dev.keepstone.store.object.Fields;
import dev.keepstone.store.object.Row;
import dev.keepstone.store.object.StoreObject;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Decimal;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

/// `facts/snapshot-<number>.json`: what a look at the whole run saw, so that the next reader need
/// only read this and what came after.
///
/// @param uid the run's
/// @param number from 1; the highest good one counts
/// @param created when it was taken, for people
/// @param covers exactly the batches whose facts are in it
/// @param purged checkpoints that are gone for ever. They stay so, whatever loose tombs and ends
///   say or no longer say.
/// @param checkpoints what the manifests say that were there
/// @param facts merged
public record Snapshot(
    String uid,
    long number,
    Instant created,
    Covers covers,
    NavigableSet<CheckpointId> purged,
    Collection<Manifest.Summary> checkpoints,
    Facts facts) {
  private static final String KIND = "snapshot";

  /// Since version 2 checkpoints and facts are rows; those of version 1 repeat every name and stamp
  /// and take four times the bytes.
  public static final int VERSION = 2;

  public Snapshot {
    Fields.requireUid(uid);
    if (number < 1) {
      throw new IllegalArgumentException("snapshots count from 1, found " + number);
    }
  }

  /// The object's bytes.
  ///
  /// @param describe its name, for messages
  public byte[] encode(String describe) {
    Json.Obj head =
        StoreObject.begin(VERSION, KIND)
            .put("uid", uid)
            .put("number", number)
            .put("created", created.toString())
            .put("covers", covers.toJson())
            .put("purged", purged(purged))
            .build();
    SequencedMap<String, Stream<? extends Json>> arrays = new LinkedHashMap<>();
    arrays.put("checkpoints", checkpoints.stream().map(new SummaryRows.Writer()::row));
    arrays.put("facts", facts.all().sorted(Stamped.ORDER).map(new FactRows.Writer()::row));
    return StoreObject.encode(head, arrays, describe);
  }

  private static Json.Obj purged(NavigableSet<CheckpointId> ids) {
    TreeMap<Integer, List<Long>> steps = new TreeMap<>();
    ids.forEach(id -> steps.computeIfAbsent(id.start(), none -> new ArrayList<>()).add(id.step()));
    Json.Builder starts = Json.object();
    steps.forEach((start, own) -> starts.put(Integer.toString(start), Json.integers(own)));
    return starts.build();
  }

  /// Reads the object one element at a time: it may be as large as all manifests of a run.
  ///
  /// @param uid the run's, which the object must repeat
  /// @param describe the object's name, for messages
  public static Snapshot decode(byte[] bytes, String uid, String describe) {
    List<Stamped<?>> facts = new ArrayList<>();
    List<Manifest.Summary> checkpoints = new ArrayList<>();
    SummaryRows.Reader summaries = new SummaryRows.Reader(uid);
    FactRows.Reader rows = new FactRows.Reader();
    Stamps stamps = new Stamps();
    return StoreObject.decode(
        bytes,
        KIND,
        VERSION,
        describe,
        Map.of(
            "checkpoints",
            json ->
                checkpoints.add(
                    json instanceof Json.Obj object
                        ? Manifest.Summary.read(uid, object)
                        : summaries.read(Row.of(json))),
            "facts",
            json ->
                facts.add(
                    json instanceof Json.Obj object
                        ? stamps.stamped(object)
                        : rows.read(Row.of(json)))),
        fields -> {
          if (!fields.text("uid").equals(uid)) {
            throw new JsonException(
                "foreign: expected run uid " + uid + ", found " + fields.text("uid"));
          }
          return new Snapshot(
              uid,
              Fields.range(fields, "number", 1, Long.MAX_VALUE),
              Fields.instant(fields, "created"),
              Covers.read(fields.object("covers")),
              purged(fields.object("purged")),
              checkpoints,
              Facts.of(facts));
        });
  }

  /// Reads facts of version 1, of which many in a row have one writer and one moment: one copy of
  /// each is kept, and what is costly to read is read once.
  private static final class Stamps {
    private final Map<String, String> words = new HashMap<>();
    private String text = "";
    private Instant at = Instant.EPOCH;

    Stamped<?> stamped(Json.Obj fields) {
      String writer = fields.text("writer");
      String by = fields.text("by");
      FactLimits.requireText("by", by);
      if (!fields.text("at").equals(text)) {
        at = Stamp.requireTime(Fields.instant(fields, "at"));
        text = fields.text("at");
      }
      Stamp stamp =
          new Stamp(
              at,
              words.computeIfAbsent(writer, same -> same),
              fields.integer("sequence"),
              Fields.count(fields, "index", 0));
      return new Stamped<>(
          stamp, words.computeIfAbsent(by, same -> same), FactCodec.read(fields.object("fact")));
    }
  }

  private static NavigableSet<CheckpointId> purged(Json.Obj starts) {
    NavigableSet<CheckpointId> ids = new TreeSet<>();
    for (String start : starts.fields().keySet()) {
      int number = (int) Decimal.find(start, Integer.MAX_VALUE);
      for (Json step : starts.array(start)) {
        if (!(step instanceof Json.Int(long value))) {
          throw new JsonException("field \"purged\": expected steps of each start");
        }
        ids.add(new CheckpointId(number, value));
      }
    }
    return ids;
  }
}
