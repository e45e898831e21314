package dev.keepstone.agent;

import dev.keepstone.segment.place.AgentDirectory;
import java.time.Duration;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// How an agent is to run.
///
/// @param directory where it lives
/// @param budget bytes for all segments; null for half of what is free
/// @param limitRate bytes a second that a run's drains may write where nobody says otherwise; null
///   for no limit
/// @param idle how long it stays with nothing registered and nothing to drain
/// @param grace between announcing an automatic deletion and doing it; less than [#SHORTEST_GRACE]
///   is for tests alone
/// @param scrubRate bytes a second that verifying in the background may read; null: it is off
/// @param gentle whether drains run at low priority where nobody says otherwise
/// @param stopTimeout how long an ordinary stop drains before it leaves the rest to the next agent
/// @param echo hears each line of the log
record AgentOptions(
    AgentDirectory directory,
    @Nullable Long budget,
    @Nullable Long limitRate,
    Duration idle,
    Duration grace,
    @Nullable Long scrubRate,
    boolean gentle,
    Duration stopTimeout,
    Consumer<String> echo) {
  /// As most agents run.
  AgentOptions(
      AgentDirectory directory,
      @Nullable Long budget,
      @Nullable Long limitRate,
      Duration idle,
      Duration grace,
      @Nullable Long scrubRate) {
    this(
        directory,
        budget,
        limitRate,
        idle,
        grace,
        scrubRate,
        false,
        DEFAULT_STOP_TIMEOUT,
        line -> {});
  }

  /// Without verifying in the background.
  AgentOptions(
      AgentDirectory directory,
      @Nullable Long budget,
      @Nullable Long limitRate,
      Duration idle,
      Duration grace) {
    this(directory, budget, limitRate, idle, grace, null);
  }

  /// Longer than any machine lives, and still within 63 bits of nanoseconds.
  static final Duration NO_IDLE_END = Duration.ofDays(36_500);

  /// How long an ordinary stop drains.
  static final Duration DEFAULT_STOP_TIMEOUT = Duration.ofMinutes(10);

  /// How long an agent stays without anything to do.
  static final Duration DEFAULT_IDLE = Duration.ofMinutes(10);

  /// The least that an automatic deletion waits (docs/spec/store.md §8).
  static final Duration SHORTEST_GRACE = Duration.ofSeconds(90);

  /// How long what a dead trainer left stays in memory once it is durable.
  static final Duration KEPT_AFTER_DEATH = Duration.ofHours(1);
}
