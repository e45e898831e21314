package dev.keepstone.store.part;

import dev.keepstone.store.object.Fields;

/// What every part holds to.
final class Ranks {
  private Ranks() {}

  static void require(String uid, String nonce, int rank, int world) {
    Fields.requireUid(uid);
    Fields.requireNonce(nonce);
    if (rank < 0 || rank >= world) {
      throw new IllegalArgumentException(
          "a rank is 0 to " + (world - 1) + " in a world of " + world + ", found " + rank);
    }
  }
}
