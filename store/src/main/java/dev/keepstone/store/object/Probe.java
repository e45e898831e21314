package dev.keepstone.store.object;

/// `tombs/probe.<nonce>.json`: put and removed again, to learn from its time what hour it is for
/// who keeps the store. It says nothing.
///
/// @param uid the run's
/// @param nonce of who puts it
public record Probe(String uid, String nonce) {
  public Probe {
    Fields.requireUid(uid);
    Fields.requireNonce(nonce);
  }

  /// The object's bytes.
  public byte[] encode() {
    return StoreObject.encode(
        StoreObject.begin("probe").put("uid", uid).put("nonce", nonce).build());
  }
}
