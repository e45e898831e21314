package dev.keepstone.core.convert;

/// Told how far a copy is, after each chunk, on the thread that copies.
@FunctionalInterface
public interface Progress {
  /// Tells nobody.
  Progress NONE = (done, total) -> {};

  /// @param doneBytes tensor bytes copied
  /// @param totalBytes tensor bytes there are
  void copied(long doneBytes, long totalBytes);
}
