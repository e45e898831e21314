package dev.keepstone.store.object;

import java.time.Instant;

/// `keepstone.json`: this directory is a store.
///
/// @param created when, for people
public record StoreMarker(Instant created) {
  /// The marker's name in the root of a store.
  public static final String NAME = "keepstone.json";

  private static final String KIND = "store";

  /// The object's bytes.
  public byte[] encode() {
    return StoreObject.encode(StoreObject.begin(KIND).put("created", created.toString()).build());
  }

  public static StoreMarker decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes, KIND, describe, fields -> new StoreMarker(Fields.instant(fields, "created")));
  }
}
