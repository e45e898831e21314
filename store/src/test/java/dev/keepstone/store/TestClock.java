package dev.keepstone.store;

import dev.keepstone.store.tier.StoreClock;
import java.time.Duration;
import java.time.Instant;

/// A clock that moves only by waiting, and by hand.
public final class TestClock implements StoreClock {
  private Duration time = Duration.ZERO;

  @Override
  public Instant instant() {
    return Instant.parse("2026-11-24T07:30:00Z").plus(time);
  }

  @Override
  public long nanos() {
    return time.toNanos();
  }

  @Override
  public void pause(Duration wait) {
    time = time.plus(wait);
  }
}
