package dev.keepstone.store.reference;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// Names one checkpoint of a run: `<start>-<step>`, as in `3-500`.
///
/// Ordered by start, then step: the order of a line.
///
/// @param start the incarnation that saved it, ≥ 1
/// @param step completed optimizer steps, 0 to [#MAX_STEP]
public record CheckpointId(int start, long step) implements Comparable<CheckpointId> {
  /// The highest step: what every JSON reader keeps exact, 2^53 − 1.
  public static final long MAX_STEP = (1L << 53) - 1;

  public CheckpointId {
    if (start < 1) {
      throw new IllegalArgumentException("a start counts from 1, found " + start);
    }
    if (step < 0 || step > MAX_STEP) {
      throw new IllegalArgumentException("a step is 0 to 2^53-1, found " + step);
    }
  }

  /// The id that this text is exactly; empty for anything else, so `01-5` and `1-05` are no ids.
  public static Optional<CheckpointId> find(String text) {
    int dash = text.indexOf('-');
    if (dash < 0) {
      return Optional.empty();
    }
    long start = Decimal.find(text.substring(0, dash), Integer.MAX_VALUE);
    long step = Decimal.find(text.substring(dash + 1), MAX_STEP);
    return start < 1 || step < 0
        ? Optional.empty()
        : Optional.of(new CheckpointId((int) start, step));
  }

  /// @throws IllegalArgumentException where the text is no id
  public static CheckpointId parse(String text) {
    return find(text)
        .orElseThrow(() ->
            new IllegalArgumentException(
                "a checkpoint id is <start>-<step> as in 3-500, found \"" + text + "\""));
  }

  /// As a record has it, spelled out: what the JDK makes of records at run time is many times
  /// slower before the second compiler comes, and commands look up hundreds of thousands of ids.
  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof CheckpointId id && start == id.start && step == id.step;
  }

  @Override
  public int hashCode() {
    return 31 * start + Long.hashCode(step);
  }

  @Override
  public int compareTo(CheckpointId other) {
    int order = Integer.compare(start, other.start);
    return order != 0 ? order : Long.compare(step, other.step);
  }

  @Override
  public String toString() {
    return start + "-" + step;
  }
}
