package dev.keepstone.store.deletion;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.reference.CheckpointId;

/// What a round of deletion did.
public sealed interface DeletionEvent {
  CheckpointId id();

  /// The wish to delete it is announced; nothing is hidden or gone.
  record Announced(CheckpointId id, String why) implements DeletionEvent {}

  /// Somebody needs it: the wish is over.
  record Spared(CheckpointId id, String why) implements DeletionEvent {}

  /// It is gone for ever.
  ///
  /// @param bytes that were freed
  record Purged(CheckpointId id, long bytes) implements DeletionEvent {}

  /// Something went wrong; the next round tries again.
  record Failed(CheckpointId id, KeepstoneException why) implements DeletionEvent {}
}
