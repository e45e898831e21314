package dev.keepstone.testkit;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;

/// A clock that stands until a test moves it. Safe for use by several threads.
public final class SettableClock implements InstantSource {
  private volatile Instant now;

  public SettableClock(Instant now) {
    this.now = now;
  }

  /// A clock at a moment that tests may print into golden files.
  public static SettableClock atStart() {
    return new SettableClock(Instant.parse("2026-11-24T07:30:00Z"));
  }

  @Override
  public Instant instant() {
    return now;
  }

  /// Sets the clock; backwards too, as real ones are set.
  public void set(Instant moment) {
    now = moment;
  }

  public synchronized void advance(Duration time) {
    now = now.plus(time);
  }
}
