package dev.keepstone.store.retention;

import java.time.Duration;

/// How far apart the checkpoints are that are kept for good.
public sealed interface Every {
  /// The first checkpoint at or after each multiple of so many steps: where a save was skipped, the
  /// one after it stands for it.
  ///
  /// @param count ≥ 1
  record Steps(long count) implements Every {
    public Steps {
      if (count < 1) {
        throw new IllegalArgumentException("keep_every is at least 1 step, found " + count);
      }
    }
  }

  /// The first checkpoint, then each that was saved at least so long after the one kept before it.
  ///
  /// @param gap 1 s to 36,500 days
  record Time(Duration gap) implements Every {
    public Time {
      if (gap.compareTo(TimeSpan.SHORTEST) < 0 || gap.compareTo(TimeSpan.LONGEST) > 0) {
        throw new IllegalArgumentException("keep_every is 1s to 36500d, found " + gap);
      }
    }
  }

  /// Reads `1000steps`, `30m`, `6h`, `1d`.
  ///
  /// @throws IllegalArgumentException where it is neither steps nor a time
  static Every parse(String text) {
    return TimeSpan.steps(text)
        .<Every>map(Steps::new)
        .or(() -> TimeSpan.parse(text).map(Time::new))
        .orElseThrow(() ->
            new IllegalArgumentException(
                "keep_every is steps or a time as in 1000steps, 30m, 6h or 1d, found \""
                    + text
                    + "\""));
  }

  /// How it is written: what [#parse] reads.
  default String text() {
    return switch (this) {
      case Steps(long count) -> count + "steps";
      case Time(Duration gap) -> TimeSpan.number(gap) + TimeSpan.unit(gap);
    };
  }

  /// How it is told.
  default String words() {
    return switch (this) {
      case Steps(long count) -> count == 1 ? "every step" : "every " + count + " steps";
      case Time(Duration gap) -> "every " + TimeSpan.number(gap) + " " + TimeSpan.unit(gap);
    };
  }
}
