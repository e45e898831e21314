package dev.keepstone.store.tier;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/// Time as a store needs it: the hour for people, a monotonic count for everything that is
/// measured, and waiting.
///
/// The hour is written into objects and never compared: clocks of nodes disagree and are set back.
public interface StoreClock extends InstantSource {
  /// Nanoseconds since some moment; only differences mean anything, and only within this process.
  long nanos();

  /// Waits about that long; shorter where the thread is interrupted, which then stays interrupted.
  void pause(Duration time);

  /// A clock made of its three parts.
  static StoreClock of(InstantSource hour, LongSupplier nanos, Consumer<Duration> pause) {
    return new StoreClock() {
      @Override
      public Instant instant() {
        return hour.instant();
      }

      @Override
      public long nanos() {
        return nanos.getAsLong();
      }

      @Override
      public void pause(Duration time) {
        pause.accept(time);
      }
    };
  }
}
