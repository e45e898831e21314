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

/// Reads whole tensors of a view chunk by chunk, through one buffer of 8 MiB.
///
/// Chunks begin at multiples of 8 MiB of the tensor, so that a view with checksums reads each
/// granule once. The thread may be interrupted: the copy ends with an exception before the next
/// chunk.
public final class TensorCopy implements AutoCloseable {
  private static final long CHUNK_BYTES = 8 << 20;

  private final CheckpointView source;
  private final Progress progress;
  private final long totalBytes;
  private final Arena arena = Arena.ofConfined();
  private final MemorySegment chunk = arena.allocate(CHUNK_BYTES, OpenFile.ALIGNMENT);
  private long doneBytes;

  /// @param totalBytes of all tensors that will be copied, for progress
  public TensorCopy(CheckpointView source, Progress progress, long totalBytes) {
    this.source = source;
    this.progress = progress;
    this.totalBytes = totalBytes;
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

  /// Reads all bytes of a tensor that lies in one piece.
  public void copy(StoredTensor tensor, Sink sink) throws IOException {
    StoredPiece piece = tensor.pieces().getFirst();
    for (long at = 0; at < piece.bytes(); at += CHUNK_BYTES) {
      if (Thread.interrupted()) {
        throw new InterruptedIOException("interrupted");
      }
      MemorySegment bytes = chunk.asSlice(0, Math.min(CHUNK_BYTES, piece.bytes() - at));
      source.read(tensor, piece, at, bytes);
      sink.accept(bytes);
      doneBytes += bytes.byteSize();
      progress.copied(doneBytes, totalBytes);
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
