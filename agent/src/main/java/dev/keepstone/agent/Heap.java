package dev.keepstone.agent;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/// Keeps the Java heap near what lives in it. By itself the collector lets it grow to the limit
/// before it looks at what is old, so a single layout of a hundred thousand tensors would take a
/// gigabyte, for good.
///
/// A thread of its own looks often while something is allocated: what is read and written for such
/// a layout comes at hundreds of MiB a second.
final class Heap implements AutoCloseable {
  /// Garbage that is not worth a collection.
  private static final long ROOM_BYTES = 12L << 20;

  /// Growth between two looks that asks for another one soon.
  private static final long GROWTH_BYTES = 256L << 10;

  private static final long SOON_MILLIS = 10;
  private static final long LATER_MILLIS = 100;

  private final Runtime runtime = Runtime.getRuntime();
  private final CountDownLatch closed = new CountDownLatch(1);
  private final LongSupplier nanos;
  private long live = used();

  /// @param nanos a monotonic clock
  Heap(LongSupplier nanos) {
    this.nanos = nanos;
  }

  void begin() {
    Thread.ofPlatform().daemon().name("heap").start(this::work);
  }

  private void work() {
    long pause = LATER_MILLIS;
    long before = used();
    try {
      while (!closed.await(pause, TimeUnit.MILLISECONDS)) {
        long now = used();
        if (now > live + live / 4 + ROOM_BYTES) {
          // No more than half of the time goes into collecting.
          pause = Math.max(SOON_MILLIS, collect());
        } else {
          pause = now - before > GROWTH_BYTES ? SOON_MILLIS : LATER_MILLIS;
        }
        before = used();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /// Garbage may be a quarter of what lived after the last collection.
  ///
  /// @return milliseconds that it took
  private long collect() {
    long begun = nanos.getAsLong();
    System.gc();
    live = used();
    return TimeUnit.NANOSECONDS.toMillis(nanos.getAsLong() - begun);
  }

  private long used() {
    return runtime.totalMemory() - runtime.freeMemory();
  }

  @Override
  public void close() {
    closed.countDown();
  }
}
