package dev.keepstone.store.manifest;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.manifest.Manifest.Soundness;
import dev.keepstone.store.manifest.Manifest.Summary;
import dev.keepstone.store.object.Alike;
import dev.keepstone.store.object.Fields;
import dev.keepstone.store.object.Row;
import dev.keepstone.store.reference.CheckpointId;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What a listing needs of manifests, as rows of a snapshot: what many checkpoints have alike
/// ([Alike]), start and step, when it was created in ns since 1970 or null, the metrics' values.
public final class SummaryRows {
  private static final int ID = 1;
  private static final int CREATED = 3;
  private static final int VALUES = 4;
  private static final long NANOS = 1_000_000_000;

  /// Beyond these a `long` has no room for nanoseconds.
  private static final Instant FIRST = Instant.ofEpochSecond(Long.MIN_VALUE / NANOS + 1);

  private static final Instant LAST = Instant.ofEpochSecond(Long.MAX_VALUE / NANOS - 1);

  private SummaryRows() {}

  /// What many checkpoints of a run have alike.
  private record Form(
      int world,
      long tensors,
      long bytes,
      long usedBytes,
      int ownFiles,
      Soundness health,
      List<CheckpointId> uses,
      List<String> metrics) {
    static Form of(Summary summary) {
      return new Form(
          summary.world(),
          summary.tensors(),
          summary.bytes(),
          summary.usedBytes(),
          summary.ownFiles(),
          summary.health(),
          summary.uses(),
          List.copyOf(summary.metrics().fields().keySet()));
    }

    Json.Obj toJson() {
      Json.Builder fields =
          Json.object()
              .put("world", world)
              .put("tensors", tensors)
              .put("bytes", bytes)
              .put("health", health.text());
      if (ownFiles >= 0) {
        fields.put("files", ownFiles);
      }
      if (usedBytes > 0) {
        fields.put("used_bytes", usedBytes);
      }
      if (!uses.isEmpty()) {
        fields.put("uses", Json.array(uses.stream().map(id -> Json.of(id.toString())).toList()));
      }
      if (!metrics.isEmpty()) {
        fields.put("metrics", Json.array(metrics.stream().map(Json::of).toList()));
      }
      return fields.build();
    }

    static Form read(Json.Obj fields) {
      return new Form(
          Fields.count(fields, "world", 1),
          Fields.bytes(fields, "tensors"),
          Fields.bytes(fields, "bytes"),
          fields.has("used_bytes") ? Fields.bytes(fields, "used_bytes") : 0,
          fields.has("files") ? Fields.count(fields, "files", 0) : -1,
          Soundness.parse(fields.text("health")),
          fields.has("uses") ? Manifest.uses(fields) : List.of(),
          fields.has("metrics") ? names(fields.array("metrics")) : List.of());
    }

    private static List<String> names(List<Json> names) {
      List<String> texts = new ArrayList<>();
      for (Json name : names) {
        if (!(name instanceof Json.Text(String text))) {
          throw new JsonException("field \"metrics\": expected names");
        }
        texts.add(text);
      }
      return List.copyOf(texts);
    }
  }

  /// Writes rows, of which each may mention what those before it spelled out.
  public static final class Writer {
    private final Alike.Writer<Form> forms = new Alike.Writer<>();

    public Json row(Summary summary) {
      List<Json> row = new ArrayList<>();
      row.add(forms.mention(Form.of(summary), Form::toJson));
      row.add(Json.of(summary.id().start()));
      row.add(Json.of(summary.id().step()));
      row.add(time(summary.created()));
      row.addAll(summary.metrics().fields().values());
      return Json.array(row);
    }

    private static Json time(@Nullable Instant created) {
      if (created == null) {
        return Json.NULL;
      }
      return created.isBefore(FIRST) || created.isAfter(LAST)
          ? Json.of(created.toString())
          : Json.of(created.getEpochSecond() * NANOS + created.getNano());
    }
  }

  /// Reads rows in their order.
  public static final class Reader {
    private final Alike.Reader<Form> forms =
        new Alike.Reader<>(json -> Form.read(Row.object(json)));
    private final String uid;

    /// @param uid the run's
    public Reader(String uid) {
      this.uid = uid;
    }

    /// @throws JsonException where it is none
    public Summary read(Row row) {
      Form form = forms.read(row.get(0));
      if (row.size() != VALUES + form.metrics.size()) {
        throw new JsonException(
            "expected the values of "
                + form.metrics.size()
                + " metrics in a row of "
                + (row.size() - VALUES));
      }
      return new Summary(
          uid,
          row.id(ID),
          form.world,
          metrics(form, row),
          form.tensors,
          form.bytes,
          form.usedBytes,
          form.ownFiles,
          form.health,
          form.uses,
          time(row));
    }

    private static Json.Obj metrics(Form form, Row row) {
      Map<String, Json> metrics = new LinkedHashMap<>();
      for (int i = 0; i < form.metrics.size(); i++) {
        if (metrics.put(form.metrics.get(i), row.get(VALUES + i)) != null) {
          throw new JsonException("metric \"" + form.metrics.get(i) + "\" twice");
        }
      }
      return new Json.Obj(metrics);
    }

    private static @Nullable Instant time(Row row) {
      return switch (row.get(CREATED)) {
        case Json.Null() -> null;
        case Json.Int(long nanos) ->
            Instant.ofEpochSecond(Math.floorDiv(nanos, NANOS), Math.floorMod(nanos, NANOS));
        case Json.Text(String text) ->
            Fields.instant(Json.object().put("created", text).build(), "created");
        default -> throw new JsonException("expected when a checkpoint was created");
      };
    }
  }
}
