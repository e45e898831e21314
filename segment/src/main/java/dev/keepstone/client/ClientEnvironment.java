package dev.keepstone.client;

import dev.keepstone.segment.place.AgentDirectory;
import java.time.Duration;
import java.time.InstantSource;
import java.util.function.LongSupplier;
import java.util.random.RandomGenerator;

/// What a [Client] takes from its surroundings.
///
/// @param directory where the agent is met
/// @param starter asked where no agent answers
/// @param random names the client; must differ between processes
/// @param clocks when a save was sealed and how long it took
/// @param patience how long to wait for what
public record ClientEnvironment(
    AgentDirectory directory,
    AgentStarter starter,
    RandomGenerator random,
    Clocks clocks,
    Patience patience) {
  /// The two clocks, never merged.
  ///
  /// @param wall the time of day
  /// @param nanos monotonic nanoseconds, for the stall
  public record Clocks(InstantSource wall, LongSupplier nanos) {}

  /// @param save for a lent slot, before a save is [Busy]
  /// @param register for the space of an older layout
  /// @param close for the last save to become durable
  ///
  /// [Busy]: dev.keepstone.core.failure.KeepstoneException.Busy
  public record Patience(Duration save, Duration register, Duration close) {
    /// 2 minutes, 2 minutes, 10 minutes.
    public static final Patience DEFAULT =
        new Patience(Duration.ofMinutes(2), Duration.ofMinutes(2), Duration.ofMinutes(10));
  }
}
