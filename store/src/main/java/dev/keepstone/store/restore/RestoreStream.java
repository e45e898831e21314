package dev.keepstone.store.restore;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.shard.ShardFiles;
import dev.keepstone.store.shard.Span;
import dev.keepstone.store.tier.Tier;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/// Reads what some readers want of a checkpoint ahead into a window of memory, by two threads and
/// around the page cache, and hands chunks out once every granule of them has been checked.
///
/// Each granule is read once and summed once, however many readers want it, and its slot of the
/// window is used again when all of them have given it back. At most half of the window is handed
/// out to one reader at once, so that reading goes on while it copies. Each reader is one thread at
/// a time.
public final class RestoreStream implements AutoCloseable {
  /// As many requests as a local disk needs in flight to be at full speed.
  private static final int THREADS = 2;

  private static final int LEAST_SLOTS = 2;

  /// How long a reader may copy while others wait for the window.
  public static final Duration PATIENCE = Duration.ofSeconds(20);

  private final Source source;
  private final MemorySegment window;
  private final Patience patience;
  private final int atOnce;
  private final Iterator<Span> spans;
  private final List<StreamReader> readers = new ArrayList<>();
  private final List<Thread> threads = new ArrayList<>();
  private final Deque<Integer> free = new ArrayDeque<>();
  private boolean closed;

  /// Where the bytes lie.
  ///
  /// @param names of the run
  /// @param id the checkpoint
  /// @param shards all of its shards, in the order of its parts
  public record Source(Tier tier, Names names, CheckpointId id, List<ShardReceipt> shards) {
    public Source {
      shards = List.copyOf(shards);
    }
  }

  /// @param copying how long a reader may copy while others wait for the window
  /// @param nanos monotonic
  public record Patience(Duration copying, LongSupplier nanos) {}

  /// Bytes that have been read and checked.
  ///
  /// @param at of the first one in the reader's stream
  /// @param in of the first one in the window
  public record Chunk(long at, long bytes, long in) {}

  /// @param chunks in the order of the reader's stream, following those of the answer before
  /// @param end whether nothing follows
  public record Answer(List<Chunk> chunks, boolean end) {
    public Answer {
      chunks = List.copyOf(chunks);
    }
  }

  private RestoreStream(
      Source source, List<RestorePlan> plans, MemorySegment window, Patience patience) {
    this.source = source;
    this.window = window;
    this.patience = patience;
    this.spans = spans(source, plans);
    int slots = Math.toIntExact(window.byteSize() / Span.SLOT_BYTES);
    if (slots < LEAST_SLOTS) {
      throw new IllegalArgumentException(
          "a window holds at least " + LEAST_SLOTS + " slots of " + Span.SLOT_BYTES + " bytes");
    }
    for (int slot = 0; slot < slots; slot++) {
      free.add(slot);
    }
    // Of two answers that a reader may hold. Where it is not the only one, it leaves half of the
    // window to the others.
    this.atOnce = Math.max(1, slots / (plans.size() == 1 ? 2 : 4));
    long now = patience.nanos().getAsLong();
    plans.forEach(plan -> readers.add(new StreamReader(plan, now)));
  }

  /// What any of the readers wants, in the order of the shards.
  private static Iterator<Span> spans(Source source, List<RestorePlan> plans) {
    Map<PieceReceipt, BitSet> union = new IdentityHashMap<>();
    for (RestorePlan plan : plans) {
      for (RestorePlan.Place place : plan.places()) {
        union.computeIfAbsent(place.piece(), _ -> new BitSet()).or(place.wanted());
      }
    }
    return source.shards().stream().flatMap(shard -> Span.of(shard, union::get)).iterator();
  }

  /// Begins to read.
  ///
  /// @param plans one per reader, over the very pieces of the source's shards
  /// @param window slots of [Span#SLOT_BYTES], at least two; stays the caller's, and is written
  ///   until [#close] returns. At a multiple of 4096 where speed counts
  public static RestoreStream open(
      Source source, List<RestorePlan> plans, MemorySegment window, Patience patience) {
    RestoreStream stream = new RestoreStream(source, plans, window, patience);
    for (int i = 0; i < THREADS; i++) {
      stream.threads.add(
          Thread.ofPlatform().daemon().name("restore-" + i).start(stream::readAhead));
    }
    return stream;
  }

  /// The next chunks for a reader; waits until there is one. Chunks of the answer before its last
  /// one are given back by this call, those of the last answer stay valid until the next call.
  ///
  /// Where there are several readers, the end comes in an answer without chunks: so each learns,
  /// after it has copied the last of them, whether it was in time.
  ///
  /// @param reader index of its plan
  /// @throws KeepstoneException.Integrity naming file, tensor, byte range, both checksums
  /// @throws KeepstoneException.Busy where the reader stood still for so long that what it was
  ///   given has been overwritten
  /// @throws KeepstoneException where the bytes cannot be read
  public synchronized Answer next(int reader) {
    StreamReader mine = readers.get(reader);
    requirePresent(mine);
    mine.handedBefore.forEach(this::giveBack);
    mine.handedBefore = mine.handedLast;
    mine.handedLast = List.of();
    mine.asking = true;
    notifyAll();
    try {
      while (!mine.headIsDone() && !mine.exhausted()) {
        await(0);
        requirePresent(mine);
      }
      return answer(mine);
    } finally {
      mine.asking = false;
      mine.answered = patience.nanos().getAsLong();
      notifyAll();
    }
  }

  private Answer answer(StreamReader mine) {
    List<Chunk> chunks = new ArrayList<>();
    List<Reading> handed = new ArrayList<>();
    while (mine.headIsDone() && handed.size() < atOnce) {
      Reading reading = mine.ahead.getFirst();
      if (reading.failure != null) {
        if (handed.isEmpty()) {
          throw reading.failure;
        }
        break;
      }
      mine.ahead.removeFirst();
      mine.chunks(reading, chunks);
      handed.add(reading);
    }
    mine.handedLast = handed;
    boolean alone = readers.size() == 1;
    return new Answer(chunks, mine.exhausted() && (alone || chunks.isEmpty()));
  }

  private void requirePresent(StreamReader reader) {
    if (reader.gone) {
      throw new KeepstoneException.Busy(
          "this rank asked for no more for "
              + patience.copying().toSeconds()
              + " s while others waited, and was cut off",
          source.tier().describe(source.names().checkpoint(source.id())),
          "restore again");
    }
  }

  /// A reader wants nothing more.
  public synchronized void leave(int reader) {
    readers.get(reader).letGo().forEach(this::giveBack);
    notifyAll();
  }

  private void giveBack(Reading reading) {
    reading.holders--;
    recycle(reading);
  }

  /// The slot of a span that nobody holds is free, once it is not being read into any more.
  private void recycle(Reading reading) {
    if (reading.holders == 0 && reading.done) {
      free.add(reading.slot);
      notifyAll();
    }
  }

  @SuppressWarnings("WaitNotInLoop") // all callers loop
  private void await(long millis) {
    try {
      wait(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new KeepstoneException.Failed(
          "restoring was interrupted",
          source.tier().describe(source.names().checkpoint(source.id())),
          "restore again",
          e);
    }
  }

  private synchronized @Nullable Reading begin() {
    while (true) {
      while (!closed && spans.hasNext() && free.isEmpty()) {
        await(cutOff());
      }
      if (closed || !spans.hasNext()) {
        return null;
      }
      Reading reading = new Reading(spans.next(), free.remove());
      for (StreamReader reader : readers) {
        if (reader.expects(reading)) {
          reading.holders++;
        }
      }
      if (reading.holders > 0) {
        return reading;
      }
      // Those who wanted it have left.
      free.add(reading.slot);
    }
  }

  /// Cuts off readers that stand still while others wait for the window.
  ///
  /// @return milliseconds until there may be another one; 0: not before something changes
  private long cutOff() {
    if (readers.stream().noneMatch(reader -> reader.asking)) {
      return 0;
    }
    long now = patience.nanos().getAsLong();
    long next = Long.MAX_VALUE;
    for (StreamReader reader : readers) {
      if (reader.holdsUp()) {
        long left = patience.copying().toNanos() - (now - reader.answered);
        if (left <= 0) {
          reader.letGo().forEach(this::giveBack);
        } else {
          next = Math.min(next, left);
        }
      }
    }
    if (!free.isEmpty()) {
      return 1;
    }
    return next == Long.MAX_VALUE ? 0 : TimeUnit.NANOSECONDS.toMillis(next) + 1;
  }

  private synchronized void end(Reading reading, long in, @Nullable KeepstoneException failure) {
    reading.in = in;
    reading.failure = failure;
    reading.done = true;
    recycle(reading);
    notifyAll();
  }

  private void readAhead() {
    try (ShardFiles files = new ShardFiles(source.tier(), source.names(), source.id())) {
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
    return source.tier().describe(source.names().file(shard.home(source.id()), shard.file()));
  }

  /// Stops reading and waits until nothing writes into the window any more.
  @Override
  public void close() {
    synchronized (this) {
      closed = true;
      notifyAll();
    }
    boolean interrupted = false;
    for (Thread thread : threads) {
      while (thread.isAlive()) {
        try {
          thread.join();
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
