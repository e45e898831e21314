package dev.keepstone.agent;

import dev.keepstone.segment.wire.Answer;

/// One restore of one connection: from the sealed generation in memory where it lies on this node,
/// else from the store through a window (docs/spec/wire.md "open", "next", "done").
sealed interface Restore extends AutoCloseable permits MemoryRestore, StoreRestore {
  /// What the client needs to place bytes.
  Answer.Open opened();

  /// The next chunks.
  ///
  /// @throws dev.keepstone.core.failure.KeepstoneException.Integrity where bytes are not what they
  ///   were
  Answer.Next next();

  /// Ends it: nothing is pinned, held or mapped any more. May be called twice.
  @Override
  void close();
}
