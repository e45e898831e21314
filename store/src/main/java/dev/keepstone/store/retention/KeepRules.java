package dev.keepstone.store.retention;

/// What a user wants kept.
///
/// @param keepLast newest checkpoints on the line, ≥ 1
public record KeepRules(int keepLast) {
  public KeepRules {
    if (keepLast < 1) {
      throw new IllegalArgumentException("keep_last is at least 1, found " + keepLast);
    }
  }
}
