package dev.keepstone.store.part;

import dev.keepstone.store.object.StoreObject;
import dev.keepstone.store.reference.CheckpointId;

/// What one rank put for one checkpoint, under `part-<rank>.json`: a receipt or a refusal. The
/// first one under the name wins.
public sealed interface PartRecord permits Part, Refusal {
  /// The run's uid.
  String uid();

  CheckpointId id();

  /// Whose this is, from 0.
  int rank();

  /// Ranks of the checkpoint.
  int world();

  /// The start of the agent that put it.
  String nonce();

  /// The object's bytes.
  byte[] encode();

  /// Reads either kind.
  ///
  /// @param describe the object's name, for messages
  static PartRecord decode(byte[] bytes, String describe) {
    return StoreObject.kind(bytes, describe).equals(Refusal.KIND)
        ? Refusal.decode(bytes, describe)
        : Part.decode(bytes, describe);
  }
}
