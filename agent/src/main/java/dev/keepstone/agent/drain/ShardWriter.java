package dev.keepstone.agent.drain;

import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.LongConsumer;

/// Writes shard images straight from shared memory, by at most two requests at a time on the file's
/// own grid of 8 MiB, while the caller's thread scans the same bytes.
///
/// Why two and 8 MiB: one request in flight leaves the disk idle between two, more than two gain
/// nothing, and smaller ones lose half (docs/architecture.md, "I/O").
final class ShardWriter implements AutoCloseable {
  static final long BLOCK_BYTES = 8L << 20;

  /// A slow drain goes in smaller steps, so that its limit and its progress are felt evenly.
  static final long PACED_BLOCK_BYTES = 1L << 20;

  private static final int IN_FLIGHT = 2;

  private final Pace pace;
  private final ExecutorService writers =
      Executors.newFixedThreadPool(
          IN_FLIGHT, Thread.ofPlatform().daemon().name("drain-write-", 0).factory());

  ShardWriter(Pace pace) {
    this.pace = pace;
  }

  /// Writes, cuts and syncs one shard.
  ///
  /// @param image the shard's bytes; the slot's zeros follow them up to a multiple of
  ///   [OpenFile#ALIGNMENT]
  /// @param byteLength of the file
  /// @param scan of the same image
  /// @param progress hears the bytes of each block that was handed to the disk
  void write(
      MemorySegment image, long byteLength, OpenFile file, ShardScan scan, LongConsumer progress)
      throws IOException, InterruptedException {
    file.reserve(image.byteSize());
    Deque<Future<?>> inFlight = new ArrayDeque<>();
    try {
      long at = 0;
      while (at < image.byteSize()) {
        long step = pace.limited() ? PACED_BLOCK_BYTES : BLOCK_BYTES;
        long bytes = Math.min(step - at % step, image.byteSize() - at);
        pace.take(bytes);
        if (inFlight.size() == IN_FLIGHT) {
          finish(inFlight.removeFirst());
        }
        long position = at;
        MemorySegment block = image.asSlice(position, bytes);
        inFlight.addLast(
            writers.submit(() -> {
              file.write(position, block);
              return null;
            }));
        at += bytes;
        scan.upTo(at);
        progress.accept(Math.min(bytes, Math.max(0, byteLength - position)));
      }
      while (!inFlight.isEmpty()) {
        finish(inFlight.removeFirst());
      }
    } finally {
      settle(inFlight);
    }
    file.truncate(byteLength);
    file.sync();
  }

  private static void finish(Future<?> write) throws IOException, InterruptedException {
    try {
      write.get();
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case IOException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException("write of a shard", e.getCause());
      }
    }
  }

  /// After a failure the file is closed and the slot may be reused: no write may still be reading
  /// from it.
  private static void settle(Deque<Future<?>> inFlight) {
    boolean interrupted = false;
    while (!inFlight.isEmpty()) {
      try {
        inFlight.getFirst().get();
        inFlight.removeFirst();
      } catch (ExecutionException e) {
        inFlight.removeFirst();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    writers.shutdownNow();
  }
}
