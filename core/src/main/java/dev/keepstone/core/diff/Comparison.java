package dev.keepstone.core.diff;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.diff.DiffReport.Numbers;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredTensor;
import dev.keepstone.core.view.TensorStream;
import dev.keepstone.core.view.Windows;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// Reads tensors of two checkpoints side by side, 8 MiB of each at a time.
final class Comparison implements AutoCloseable {
  private static final long CHUNK_BYTES = 8 << 20;

  private final CheckpointView a;
  private final CheckpointView b;
  private final Progress progress;
  private final long totalBytes;
  private final Arena arena = Arena.ofConfined();
  private final MemorySegment bufferA = arena.allocate(CHUNK_BYTES, OpenFile.ALIGNMENT);
  private final MemorySegment bufferB = arena.allocate(CHUNK_BYTES, OpenFile.ALIGNMENT);
  private final Windows windowsA = new Windows(arena);
  private final Windows windowsB = new Windows(arena);
  private @Nullable Chunks current;
  private long doneBytes;
  private long bytesRead;

  Comparison(CheckpointView a, CheckpointView b, Progress progress, long totalBytes) {
    this.a = a;
    this.b = b;
    this.progress = progress;
    this.totalBytes = totalBytes;
  }

  /// Tensor bytes read from both sides.
  long bytesRead() {
    return bytesRead;
  }

  /// Two tensors of one shape, chunk by chunk: as many elements of the one as of the other.
  private final class Chunks {
    private final StoredTensor left;
    private final StoredTensor right;
    private final TensorStream streamA;
    private final TensorStream streamB;
    private final long elements;
    private final long step;
    private long loaded = -1;
    private long told;

    Chunks(StoredTensor left, StoredTensor right) {
      this.left = left;
      this.right = right;
      this.streamA = new TensorStream(a, left, windowsA);
      this.streamB = new TensorStream(b, right, windowsB);
      this.elements = left.tensor().shape().elementCount();
      this.step = elementsIn(CHUNK_BYTES, left.tensor().dtype(), right.tensor().dtype());
    }

    MemorySegment chunkA(long from) {
      return bufferA.asSlice(0, bytes(left.tensor(), from));
    }

    MemorySegment chunkB(long from) {
      return bufferB.asSlice(0, bytes(right.tensor(), from));
    }

    private long bytes(Tensor tensor, long from) {
      return Math.min(step, elements - from) * tensor.dtype().bits() / 8;
    }

    /// Reads the chunk that begins at this element, unless it is the one read last.
    void load(long from) throws IOException {
      if (loaded == from) {
        return;
      }
      requireNotInterrupted();
      loaded = -1;
      MemorySegment chunkA = chunkA(from);
      MemorySegment chunkB = chunkB(from);
      streamA.read(from * left.tensor().dtype().bits() / 8, chunkA);
      streamB.read(from * right.tensor().dtype().bits() / 8, chunkB);
      loaded = from;
      long both = chunkA.byteSize() + chunkB.byteSize();
      bytesRead += both;
      if (from >= told) {
        told = from + step;
        tell(both);
      }
    }
  }

  private Chunks chunks(StoredTensor left, StoredTensor right) {
    Chunks known = current;
    if (known != null && known.left == left && known.right == right) {
      return known;
    }
    Chunks made = new Chunks(left, right);
    current = made;
    return made;
  }

  /// Whether every byte of two tensors of one dtype and shape is the same.
  boolean equal(StoredTensor left, StoredTensor right) throws IOException {
    Chunks chunks = chunks(left, right);
    for (long from = 0; from < chunks.elements; from += chunks.step) {
      chunks.load(from);
      if (chunks.chunkA(from).mismatch(chunks.chunkB(from)) != -1) {
        return false;
      }
    }
    return true;
  }

  /// By how much two tensors of one shape differ; null where their elements have no values.
  @Nullable Numbers numbers(StoredTensor left, StoredTensor right) throws IOException {
    Dtype before = left.tensor().dtype();
    Dtype after = right.tensor().dtype();
    if (!Values.comparable(before, after)) {
      return null;
    }
    Chunks chunks = chunks(left, right);
    Values values = new Values(before, after, 1);
    add(chunks, values);
    double scale = values.scaleNeeded();
    if (scale != 1) {
      values = new Values(before, after, scale);
      add(chunks, values);
    }
    return values.numbers();
  }

  private static void add(Chunks chunks, Values values) throws IOException {
    for (long from = 0; from < chunks.elements; from += chunks.step) {
      chunks.load(from);
      values.accept(chunks.chunkA(from), chunks.chunkB(from));
    }
  }

  /// The checksum of a tensor's bytes, read where the checkpoint does not know it.
  int crc32(CheckpointView view, StoredTensor stored) throws IOException {
    if (view.crc32(stored).isPresent()) {
      tell(stored.tensor().byteLength());
      return view.crc32(stored).getAsInt();
    }
    current = null;
    TensorStream stream = new TensorStream(view, stored, windowsA);
    long length = stored.tensor().byteLength();
    int crc = 0;
    for (long at = 0; at < length; at += CHUNK_BYTES) {
      requireNotInterrupted();
      MemorySegment chunk = bufferA.asSlice(0, Math.min(CHUNK_BYTES, length - at));
      stream.read(at, chunk);
      crc = Crc32.combine(crc, Crc32.of(chunk), chunk.byteSize());
      bytesRead += chunk.byteSize();
      tell(chunk.byteSize());
    }
    return crc;
  }

  private void tell(long bytes) {
    doneBytes += bytes;
    // Proving a rename reads again what finding it has read.
    progress.copied(Math.min(doneBytes, totalBytes), totalBytes);
  }

  private static void requireNotInterrupted() throws InterruptedIOException {
    if (Thread.interrupted()) {
      throw new InterruptedIOException("interrupted");
    }
  }

  @Override
  public void close() {
    arena.close();
  }

  /// How many elements of a dtype, or of two, fill at most so many bytes, and begin at a granule in
  /// both whatever piece they begin.
  private static long elementsIn(long bytes, Dtype a, Dtype b) {
    int bits = Math.max(8, Math.max(a.bits(), b.bits()));
    return bytes * 8 / bits;
  }
}
