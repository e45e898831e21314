package dev.keepstone.store.object;

import dev.keepstone.store.reference.CheckpointId;

/// `holds/<id>.<nonce>.<k>.json`: one reader needs a checkpoint.
///
/// @param uid the run's
/// @param id the checkpoint
/// @param nonce the reader's
/// @param k the how-manieth renewal, from 1
public record Hold(String uid, CheckpointId id, String nonce, int k) {
  private static final String KIND = "hold";

  public Hold {
    Fields.requireUid(uid);
    Fields.requireNonce(nonce);
    if (k < 1) {
      throw new IllegalArgumentException("a hold counts from 1, found " + k);
    }
  }

  /// The object's bytes.
  public byte[] encode() {
    return StoreObject.encode(
        StoreObject.begin(KIND)
            .put("uid", uid)
            .put("id", id.toString())
            .put("nonce", nonce)
            .put("k", k)
            .build());
  }

  public static Hold decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes,
        KIND,
        describe,
        fields ->
            new Hold(
                fields.text("uid"),
                Fields.id(fields, "id"),
                fields.text("nonce"),
                Fields.count(fields, "k", 1)));
  }
}
