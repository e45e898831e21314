package dev.keepstone.agent.drain;

import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/// The speed limit of a run's drains, in bytes per second, and whether they give way to others. It
/// may change, or be lifted for a while, at any time; a writer that waits feels it at once.
///
/// A debt, not a bucket: a block may go when everything before it has been paid for, so that blocks
/// larger than a second's allowance pass too.
public final class Pace {
  private static final double NANOS = TimeUnit.SECONDS.toNanos(1);

  private final LongSupplier nanos;
  private @Nullable Long limit;
  private boolean gentle;
  private int lifted;
  private double debt;
  private long settledAt;

  /// @param nanos a monotonic clock
  public Pace(LongSupplier nanos) {
    this.nanos = nanos;
    this.settledAt = nanos.getAsLong();
  }

  /// Sets the limit; null for none.
  public synchronized void limit(@Nullable Long bytesPerSecond) {
    settle();
    limit = bytesPerSecond;
    notifyAll();
  }

  /// Bytes a second; null for no limit.
  public synchronized @Nullable Long limit() {
    return limit;
  }

  /// Sets whether drains run at low priority.
  public synchronized void gentle(boolean wanted) {
    gentle = wanted;
  }

  /// Whether drains run at low priority.
  public synchronized boolean gentle() {
    return gentle && lifted == 0;
  }

  /// Lifts the limit until [#lower], however often it is set meanwhile. Calls nest.
  public synchronized void lift() {
    settle();
    lifted++;
    notifyAll();
  }

  /// Ends one [#lift].
  public synchronized void lower() {
    settle();
    lifted--;
  }

  /// Whether there is a limit now.
  public synchronized boolean limited() {
    return limit != null && lifted == 0;
  }

  /// Waits until everything taken before is paid for, then takes `bytes`.
  public synchronized void take(long bytes) throws InterruptedException {
    settle();
    while (debt > 0) {
      Long rate = limit;
      if (rate == null) {
        break;
      }
      long millis = (long) Math.ceil(debt * 1000 / rate);
      wait(Math.max(1, millis));
      settle();
    }
    debt += bytes;
  }

  private void settle() {
    long now = nanos.getAsLong();
    Long rate = limit;
    debt = rate == null || lifted > 0 ? 0 : Math.max(0, debt - (now - settledAt) * (rate / NANOS));
    settledAt = now;
  }
}
