package dev.keepstone.store.retention;

import dev.keepstone.store.fact.Mode;

/// Which checkpoints are the best, and how many of them are kept.
///
/// @param count how many are kept; 0 where the metric serves `@best` alone
/// @param monitor the metric's name
/// @param mode which of two values is better: there is no default, for trainers disagree
public record Best(int count, String monitor, Mode mode) {
  public Best {
    if (count < 0) {
      throw new IllegalArgumentException("keep_best is at least 0, found " + count);
    }
    if (monitor.isEmpty()) {
      throw new IllegalArgumentException("monitor is the name of a metric, found \"\"");
    }
  }
}
