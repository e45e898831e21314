package dev.keepstone.store.deletion;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.reference.CheckpointId;

/// What a round of deletion did.
public sealed interface DeletionEvent {
  CheckpointId id();

  /// The wish to delete it is announced; nothing is hidden or gone.
  ///
  /// @param k the tomb's number
  record Announced(CheckpointId id, int k, String why) implements DeletionEvent {}

  /// Somebody needs it: the wish is over.
  ///
  /// @param k the tomb's number
  record Spared(CheckpointId id, int k, String why) implements DeletionEvent {}

  /// It is gone for ever.
  ///
  /// @param k the tomb's number
  /// @param why as it was announced
  /// @param bytes that were freed
  record Purged(CheckpointId id, int k, String why, long bytes) implements DeletionEvent {}

  /// What was still lying there of one purged before is gone.
  ///
  /// @param bytes that were freed
  record Cleared(CheckpointId id, long bytes) implements DeletionEvent {}

  /// What was done about it is done, but could not be written into the journal.
  record Unwritten(CheckpointId id, KeepstoneException why) implements DeletionEvent {}

  /// Something went wrong; the next round tries again.
  record Failed(CheckpointId id, KeepstoneException why) implements DeletionEvent {}
}
