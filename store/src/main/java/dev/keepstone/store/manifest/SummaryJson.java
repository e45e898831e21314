package dev.keepstone.store.manifest;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.manifest.Manifest.Summary;
import dev.keepstone.store.object.Fields;
import java.util.List;

/// What a listing needs of a manifest, in the words of a snapshot of a run.
final class SummaryJson {
  private static final Json.Obj EMPTY = Json.object().build();

  private SummaryJson() {}

  static Json.Obj write(Summary summary) {
    Json.Builder fields =
        Json.object()
            .put("id", summary.id().toString())
            .put("world", summary.world())
            .put("tensors", summary.tensors())
            .put("bytes", summary.bytes())
            .put("health", summary.health().text());
    if (summary.usedBytes() > 0) {
      fields.put("used_bytes", summary.usedBytes());
    }
    if (!summary.metrics().fields().isEmpty()) {
      fields.put("metrics", summary.metrics());
    }
    if (!summary.uses().isEmpty()) {
      fields.put(
          "uses", Json.array(summary.uses().stream().map(id -> Json.of(id.toString())).toList()));
    }
    if (summary.created() != null) {
      fields.put("created", summary.created().toString());
    }
    return fields.build();
  }

  static Summary read(String uid, Json.Obj fields) {
    return new Summary(
        uid,
        Fields.id(fields, "id"),
        Fields.count(fields, "world", 1),
        fields.has("metrics") ? fields.object("metrics") : EMPTY,
        Fields.bytes(fields, "tensors"),
        Fields.bytes(fields, "bytes"),
        fields.has("used_bytes") ? Fields.bytes(fields, "used_bytes") : 0,
        Manifest.Soundness.parse(fields.text("health")),
        fields.has("uses") ? Manifest.uses(fields) : List.of(),
        fields.has("created") ? Fields.instant(fields, "created") : null);
  }
}
