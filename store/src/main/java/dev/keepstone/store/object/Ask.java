package dev.keepstone.store.object;

import java.time.Instant;

/// `starts/<n>.ask-<k>.json`: somebody who is no rank wants a save; the agent of rank 0 answers by
/// the [Due] of the same number.
///
/// @param uid the run's
/// @param start whose ranks are to save
/// @param k the number of the due step that is wanted
/// @param created when, for people
public record Ask(String uid, int start, int k, Instant created) {
  private static final String KIND = "ask";

  public Ask {
    Fields.requireUid(uid);
    if (start < 1 || k < 1) {
      throw new IllegalArgumentException(
          "starts and what is due count from 1, found " + start + " and " + k);
    }
  }

  /// The object's bytes.
  public byte[] encode() {
    return StoreObject.encode(
        StoreObject.begin(KIND)
            .put("uid", uid)
            .put("start", start)
            .put("k", k)
            .put("created", created.toString())
            .build());
  }

  public static Ask decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes,
        KIND,
        describe,
        fields ->
            new Ask(
                fields.text("uid"),
                Fields.count(fields, "start", 1),
                Fields.count(fields, "k", 1),
                Fields.instant(fields, "created")));
  }
}
