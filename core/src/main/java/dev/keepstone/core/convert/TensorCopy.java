package dev.keepstone.core.convert;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredPiece;
import dev.keepstone.core.view.StoredTensor;
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

/// Reads whole tensors of a view chunk by chunk, ahead of the caller, through three buffers of 8
/// MiB: while one chunk is summed and written, the next ones are on their way.
///
/// Chunks begin at multiples of 8 MiB of the tensor, so that a view with checksums reads each
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

  private long doneBytes;

  private record Chunk(StoredTensor tensor, long at, long byteLength) {
    StoredPiece piece() {
      return tensor.pieces().getFirst();
    }
  }

  private record Reading(Chunk chunk, MemorySegment buffer, MemorySegment bytes, Future<?> done) {}

  /// @param source read by this alone until [#close]
  /// @param tensors whole ones, in the order in which they will be copied
  public TensorCopy(CheckpointView source, List<StoredTensor> tensors, Progress progress) {
    this.source = source;
    this.progress = progress;
    this.totalBytes = tensors.stream().mapToLong(tensor -> tensor.tensor().byteLength()).sum();
    this.chunks = tensors.stream().flatMap(TensorCopy::chunks).iterator();
    for (int i = 0; i < BUFFERS; i++) {
      free.add(arena.allocate(CHUNK_BYTES + OpenFile.ALIGNMENT, OpenFile.ALIGNMENT));
    }
  }

  private static Stream<Chunk> chunks(StoredTensor tensor) {
    long bytes = tensor.pieces().getFirst().bytes();
    return LongStream.range(0, Math.ceilDiv(bytes, CHUNK_BYTES))
        .map(i -> i * CHUNK_BYTES)
        .mapToObj(at -> new Chunk(tensor, at, Math.min(CHUNK_BYTES, bytes - at)));
  }

  /// Takes bytes of a tensor, in order.
  @FunctionalInterface
  public interface Sink {
    /// @param bytes valid during the call
    void accept(MemorySegment bytes) throws IOException;
  }

  /// @throws KeepstoneException.Refused where a tensor lies in several pieces
  public static void requireWhole(StoredTensor tensor) {
    if (!tensor.isWhole()) {
      throw new KeepstoneException.Refused(
          "the tensor lies in %d pieces, and only whole ones can be copied"
              .formatted(tensor.pieces().size()),
          tensor.tensor().name(),
          "take a checkpoint that one rank wrote");
    }
  }

  /// Hands over all bytes of the next tensor.
  ///
  /// @param tensor the next one of those given at the beginning
  public void copy(StoredTensor tensor, Sink sink) throws IOException {
    long left = tensor.pieces().getFirst().bytes();
    while (left > 0) {
      if (Thread.interrupted()) {
        throw new InterruptedIOException("interrupted");
      }
      readAhead();
      Reading reading = ahead.removeFirst();
      if (!reading.chunk().tensor().equals(tensor)) {
        throw new IllegalArgumentException("out of order: " + tensor.tensor().name());
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
      // As far behind a page's begin as in the file, so that the bytes can go around the page
      // cache.
      long shift = (chunk.piece().fileOffset() + chunk.at()) % OpenFile.ALIGNMENT;
      MemorySegment bytes = buffer.asSlice(shift, chunk.byteLength());
      Future<?> done =
          reader.submit(() -> {
            source.read(chunk.tensor(), chunk.piece(), chunk.at(), bytes);
            return null;
          });
      ahead.addLast(new Reading(chunk, buffer, bytes, done));
    }
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
