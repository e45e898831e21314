package dev.keepstone.core.convert;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredTensor;
import dev.keepstone.core.view.TensorStream;
import dev.keepstone.core.view.Windows;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Reads tensors of a view, whole or in shares, chunk by chunk and ahead of the caller, through
/// three buffers of 8 MiB: while one chunk is summed and written, the next ones are on their way.
/// The pieces of a tensor are joined on the way, through [Windows].
///
/// Chunks of a whole tensor begin at multiples of 8 MiB, so that a view with checksums reads each
/// granule once. The caller's thread may be interrupted: the copy ends with an exception before the
/// next chunk.
public final class TensorCopy implements AutoCloseable {
  private static final long CHUNK_BYTES = 8 << 20;
  private static final int BUFFERS = 3;

  private final CheckpointView source;
  private final Progress progress;
  private final long totalBytes;
  private final Arena arena = Arena.ofShared();
  private final Iterator<Chunk> chunks;
  private final Deque<MemorySegment> free = new ArrayDeque<>();
  private final Deque<Reading> ahead = new ArrayDeque<>();

  // One thread reads: a view is for one.
  private final ExecutorService reader =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("read-ahead").factory());

  private final Windows windows = new Windows(arena);

  /// The tensor that the reader is at.
  private @Nullable StoredTensor current;

  private @Nullable TensorStream stream;
  private long doneBytes;

  /// @param at of its first byte in the tensor
  private record Chunk(Share share, long at, long byteLength) {
    /// As far behind a page's begin as in the file, so that the bytes can go around the page cache.
    long shift() {
      StoredTensor tensor = share.source();
      return tensor.isWhole()
          ? (tensor.pieces().getFirst().fileOffset() + at) % OpenFile.ALIGNMENT
          : 0;
    }
  }

  private record Reading(Chunk chunk, MemorySegment buffer, MemorySegment bytes, Future<?> done) {}

  /// @param source read by this alone until [#close]
  /// @param shares in the order in which they will be copied
  public TensorCopy(CheckpointView source, List<Share> shares, Progress progress) {
    this.source = source;
    this.progress = progress;
    this.totalBytes = shares.stream().mapToLong(Share::byteLength).sum();
    this.chunks = shares.stream().flatMap(TensorCopy::chunks).iterator();
    for (int i = 0; i < BUFFERS; i++) {
      free.add(arena.allocate(CHUNK_BYTES + OpenFile.ALIGNMENT, OpenFile.ALIGNMENT));
    }
  }

  private static Stream<Chunk> chunks(Share share) {
    long bytes = share.byteLength();
    long from = share.from();
    return LongStream.range(0, Math.ceilDiv(bytes, CHUNK_BYTES))
        .map(i -> i * CHUNK_BYTES)
        .mapToObj(at -> new Chunk(share, from + at, Math.min(CHUNK_BYTES, bytes - at)));
  }

  /// Takes bytes of a tensor, in order.
  @FunctionalInterface
  public interface Sink {
    /// @param bytes valid during the call
    void accept(MemorySegment bytes) throws IOException;
  }

  /// Hands over all bytes of the next share.
  ///
  /// @param share the next one of those given at the beginning
  public void copy(Share share, Sink sink) throws IOException {
    long left = share.byteLength();
    while (left > 0) {
      if (Thread.interrupted()) {
        throw new InterruptedIOException("interrupted");
      }
      readAhead();
      Reading reading = ahead.removeFirst();
      if (!reading.chunk().share().equals(share)) {
        throw new IllegalArgumentException("out of order: " + share.source().tensor().name());
      }
      await(reading.done());
      sink.accept(reading.bytes());
      free.add(reading.buffer());
      left -= reading.bytes().byteSize();
      doneBytes += reading.bytes().byteSize();
      progress.copied(doneBytes, totalBytes);
    }
  }

  private void readAhead() {
    while (!free.isEmpty() && chunks.hasNext()) {
      Chunk chunk = chunks.next();
      MemorySegment buffer = free.removeFirst();
      MemorySegment bytes = buffer.asSlice(chunk.shift(), chunk.byteLength());
      Future<?> done =
          reader.submit(() -> {
            stream(chunk.share().source()).read(chunk.at(), bytes);
            return null;
          });
      ahead.addLast(new Reading(chunk, buffer, bytes, done));
    }
  }

  /// On the reader's thread.
  private TensorStream stream(StoredTensor tensor) {
    TensorStream open = stream;
    if (open == null || !tensor.equals(current)) {
      open = new TensorStream(source, tensor, windows);
      stream = open;
      current = tensor;
    }
    return open;
  }

  private static void await(Future<?> done) throws IOException {
    try {
      done.get();
    } catch (InterruptedException e) {
      throw (IOException) new InterruptedIOException("interrupted").initCause(e);
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case IOException cause -> throw cause;
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException("reading a tensor", e.getCause());
      }
    }
  }

  /// Ends the reading, finished or not.
  @Override
  public void close() {
    ahead.forEach(reading -> reading.done().cancel(false));
    // Waits for the chunk on its way: its memory is about to go.
    reader.close();
    arena.close();
  }
}
