package dev.keepstone.store.manifest;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.manifest.Manifest.Summary;
import dev.keepstone.store.object.Fields;
import java.util.List;

/// What a listing needs of a manifest, in the words of a snapshot of version 1.
final class SummaryJson {
  /// How many files a checkpoint has was not told.
  private static final int UNKNOWN = -1;

  private static final Json.Obj EMPTY = Json.object().build();

  private SummaryJson() {}

  static Summary read(String uid, Json.Obj fields) {
    return new Summary(
        uid,
        Fields.id(fields, "id"),
        Fields.count(fields, "world", 1),
        fields.has("metrics") ? fields.object("metrics") : EMPTY,
        Fields.bytes(fields, "tensors"),
        Fields.bytes(fields, "bytes"),
        fields.has("used_bytes") ? Fields.bytes(fields, "used_bytes") : 0,
        UNKNOWN,
        Manifest.Soundness.parse(fields.text("health")),
        fields.has("uses") ? Manifest.uses(fields) : List.of(),
        fields.has("created") ? Fields.instant(fields, "created") : null);
  }
}
