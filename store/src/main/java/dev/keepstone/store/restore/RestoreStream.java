package dev.keepstone.store.restore;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.shard.ShardFiles;
import dev.keepstone.store.shard.Span;
import dev.keepstone.store.tier.Tier;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Reads the stream of a [RestorePlan] ahead into a window of memory, by two threads and around the
/// page cache, and hands chunks out once every granule of them has been checked.
///
/// Each byte is read once and summed once: chunks end at granules. At most half of the window is
/// handed out at once, so that reading goes on while the caller copies. [#next] is for one thread
/// at a time.
public final class RestoreStream implements AutoCloseable {
  /// As many requests as a local disk needs in flight to be at full speed.
  private static final int READERS = 2;

  private static final int LEAST_SLOTS = 2;

  private final Tier tier;
  private final Names names;
  private final CheckpointId id;
  private final MemorySegment window;
  private final int slots;
  private final Iterator<Span> spans;
  private final List<Thread> readers = new ArrayList<>();

  private final Deque<Integer> free = new ArrayDeque<>();
  private final Deque<Reading> ahead = new ArrayDeque<>();
  private List<Integer> handedLast = List.of();
  private List<Integer> handedBefore = List.of();
  private long planned;
  private boolean closed;

  /// Bytes that have been read and checked.
  ///
  /// @param at of the first one in the stream
  /// @param in of the first one in the window
  public record Chunk(long at, long bytes, long in) {}

  /// @param chunks in the order of the stream, following those of the answer before
  /// @param end whether nothing follows
  public record Answer(List<Chunk> chunks, boolean end) {
    public Answer {
      chunks = List.copyOf(chunks);
    }
  }

  /// One span on its way into one slot.
  private static final class Reading {
    final Span span;
    final long at;
    final int slot;
    boolean done;
    long in;
    @Nullable KeepstoneException failure;

    Reading(Span span, long at, int slot) {
      this.span = span;
      this.at = at;
      this.slot = slot;
    }
  }

  private RestoreStream(
      Tier tier, Names names, CheckpointId id, Iterator<Span> spans, MemorySegment window) {
    this.tier = tier;
    this.names = names;
    this.id = id;
    this.spans = spans;
    this.window = window;
    this.slots = Math.toIntExact(window.byteSize() / Span.SLOT_BYTES);
    if (slots < LEAST_SLOTS) {
      throw new IllegalArgumentException(
          "a window holds at least " + LEAST_SLOTS + " slots of " + Span.SLOT_BYTES + " bytes");
    }
    for (int slot = 0; slot < slots; slot++) {
      free.add(slot);
    }
  }

  /// Begins to read.
  ///
  /// @param names of the run
  /// @param id the checkpoint whose parts were planned
  /// @param window slots of [Span#SLOT_BYTES], at least two; stays the caller's, and is written
  ///   until [#close] returns. At a multiple of 4096 where speed counts
  public static RestoreStream open(
      Tier tier, Names names, CheckpointId id, RestorePlan plan, MemorySegment window) {
    Iterator<Span> spans = plan.shards().stream().flatMap(Span::of).iterator();
    RestoreStream stream = new RestoreStream(tier, names, id, spans, window);
    for (int i = 0; i < READERS; i++) {
      stream.readers.add(
          Thread.ofPlatform().daemon().name("restore-" + i).start(stream::readAhead));
    }
    return stream;
  }

  /// The next chunks; waits until there is one. Chunks of the answer before the last one are given
  /// back by this call, those of the last answer stay valid until the next call.
  ///
  /// @throws KeepstoneException.Integrity naming file, tensor, byte range, both checksums
  /// @throws KeepstoneException where the bytes cannot be read
  public synchronized Answer next() {
    free.addAll(handedBefore);
    handedBefore = handedLast;
    handedLast = List.of();
    notifyAll();
    while (!headIsDone() && !exhausted()) {
      await();
    }
    List<Chunk> chunks = new ArrayList<>();
    List<Integer> handed = new ArrayList<>();
    while (headIsDone() && chunks.size() < slots / 2) {
      Reading reading = ahead.getFirst();
      if (reading.failure != null) {
        if (chunks.isEmpty()) {
          throw reading.failure;
        }
        break;
      }
      ahead.removeFirst();
      chunks.add(new Chunk(reading.at, reading.span.bytes(), reading.in));
      handed.add(reading.slot);
    }
    handedLast = handed;
    return new Answer(chunks, exhausted());
  }

  private boolean headIsDone() {
    return !ahead.isEmpty() && ahead.getFirst().done;
  }

  private boolean exhausted() {
    return ahead.isEmpty() && !spans.hasNext();
  }

  @SuppressWarnings("WaitNotInLoop") // both callers loop
  private void await() {
    try {
      wait();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new KeepstoneException.Failed(
          "restoring was interrupted", tier.describe(names.checkpoint(id)), "restore again", e);
    }
  }

  private synchronized @Nullable Reading begin() {
    while (!closed && spans.hasNext() && free.isEmpty()) {
      await();
    }
    if (closed || !spans.hasNext()) {
      return null;
    }
    Span span = spans.next();
    Reading reading = new Reading(span, planned, free.remove());
    planned += span.bytes();
    ahead.addLast(reading);
    return reading;
  }

  private synchronized void end(Reading reading, long in, @Nullable KeepstoneException failure) {
    reading.in = in;
    reading.failure = failure;
    reading.done = true;
    notifyAll();
  }

  private void readAhead() {
    try (ShardFiles files = new ShardFiles(tier, names, id)) {
      for (Reading reading = begin(); reading != null; reading = begin()) {
        try {
          end(reading, read(files, reading), null);
        } catch (KeepstoneException e) {
          end(reading, 0, e);
        } catch (IOException e) {
          end(reading, 0, KeepstoneException.from(e, "reading", describe(reading.span.shard())));
        } catch (RuntimeException | Error e) {
          end(
              reading,
              0,
              new KeepstoneException.Failed(
                  "reading: " + e, describe(reading.span.shard()), "report this", e));
          throw e;
        }
      }
    }
  }

  /// @return where the span's bytes begin in the window
  private long read(ShardFiles files, Reading reading) throws IOException {
    Span span = reading.span;
    long slotAt = (long) reading.slot * Span.SLOT_BYTES;
    MemorySegment bytes =
        span.read(files.open(span.shard()), window.asSlice(slotAt, Span.SLOT_BYTES));
    List<Span.Mismatch> mismatches = span.check(bytes);
    if (!mismatches.isEmpty()) {
      String missing =
          bytes.byteSize() == span.bytes()
              ? ""
              : "the file ends at byte %d, expected %d; "
                  .formatted(span.begin() + bytes.byteSize(), span.shard().bytes());
      throw new KeepstoneException.Integrity(
          missing + mismatches.getFirst().what(),
          describe(span.shard()),
          "restore an earlier checkpoint, or bring back a good copy of this file");
    }
    return bytes.address() - window.address();
  }

  private String describe(ShardReceipt shard) {
    return tier.describe(names.file(shard.home(id), shard.file()));
  }

  /// Stops reading and waits until nothing writes into the window any more.
  @Override
  public void close() {
    synchronized (this) {
      closed = true;
      notifyAll();
    }
    boolean interrupted = false;
    for (Thread reader : readers) {
      while (reader.isAlive()) {
        try {
          reader.join();
        } catch (InterruptedException e) {
          // The window may be unmapped once this returns: a reader must not outlive it.
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
