package dev.keepstone.store.object;

import java.time.Instant;

/// `run.json`: this directory is a run.
///
/// @param uid 32 hex digits, repeated in every object of the run, so that a file copied in from
///   another run is recognised
/// @param created when, for people
public record RunMarker(String uid, Instant created) {
  private static final String KIND = "run";

  public RunMarker {
    Fields.requireUid(uid);
  }

  /// The object's bytes.
  public byte[] encode() {
    return StoreObject.encode(
        StoreObject.begin(KIND).put("uid", uid).put("created", created.toString()).build());
  }

  public static RunMarker decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes,
        KIND,
        describe,
        fields -> new RunMarker(fields.text("uid"), Fields.instant(fields, "created")));
  }
}
