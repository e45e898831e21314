package dev.keepstone.core.view;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// The bytes of one tensor in row-major order, whatever the pieces it lies in.
///
/// A whole tensor is read straight to where it is wanted. Pieces are read through [Windows]: going
/// through rows of a tensor that is cut by columns, every piece is read forward once, as long as
/// there is a window for each.
public final class TensorStream {
  private final CheckpointView view;
  private final StoredTensor stored;
  private final Windows windows;
  private final long[] strides;
  private final List<StoredPiece> pieces;
  private int piece;

  /// @param windows taken by this until another stream takes them
  public TensorStream(CheckpointView view, StoredTensor stored, Windows windows) {
    this.view = view;
    this.stored = stored;
    this.windows = windows;
    this.strides = strides(stored.tensor().shape());
    this.pieces = stored.pieces();
    if (!stored.isWhole()) {
      windows.begin(view, stored);
    }
  }

  /// Fills `into` with the tensor's bytes from `at` on.
  ///
  /// @throws KeepstoneException.Integrity where no piece holds an element
  public void read(long at, MemorySegment into) throws IOException {
    if (into.byteSize() == 0) {
      return;
    }
    if (stored.isWhole()) {
      view.read(stored, pieces.getFirst(), at, into);
      return;
    }
    long end = into.byteSize();
    for (long done = 0; done < end; ) {
      Run run = locate(at + done);
      long count = Math.min(run.bytes, end - done);
      windows.copy(run.piece, run.offset, into.asSlice(done, count));
      done += count;
    }
  }

  /// Bytes that follow each other both in the tensor and in one piece of it.
  private record Run(int piece, long offset, long bytes) {}

  private Run locate(long at) {
    Shape shape = stored.tensor().shape();
    long bits = stored.tensor().dtype().bits();
    long element = at * 8 / bits;
    for (int tried = 0; tried < pieces.size(); tried++) {
      Slice slice = pieces.get(piece).slice();
      if (holds(slice, element)) {
        return run(slice, element, bits, shape);
      }
      piece = (piece + 1) % pieces.size();
    }
    throw new KeepstoneException.Integrity(
        "no piece holds element " + element,
        stored.tensor().name(),
        "take another copy of the checkpoint");
  }

  private long coordinate(long element, int dimension, Shape shape) {
    return element / strides[dimension] % shape.extent(dimension);
  }

  private boolean holds(Slice slice, long element) {
    Shape shape = stored.tensor().shape();
    for (int d = 0; d < strides.length; d++) {
      long inside = coordinate(element, d, shape) - slice.offset().get(d);
      if (inside < 0 || inside >= slice.extent().extent(d)) {
        return false;
      }
    }
    return true;
  }

  private Run run(Slice slice, long element, long bits, Shape shape) {
    long offset = 0;
    long stride = 1;
    long run = 1;
    boolean full = true;
    for (int d = strides.length - 1; d >= 0; d--) {
      long inside = coordinate(element, d, shape) - slice.offset().get(d);
      long extent = slice.extent().extent(d);
      offset += inside * stride;
      if (full) {
        // Up to the outermost dimension that the piece does not cover: what is left of it.
        run = stride * extent - offset;
        full = extent == shape.extent(d);
      }
      stride *= extent;
    }
    if (offset * bits % 8 != 0 || run * bits % 8 != 0) {
      throw new KeepstoneException.Unsupported(
          "a row of a piece ends within a byte",
          stored.tensor().name() + " of " + stored.tensor().dtype(),
          "compare exports of both checkpoints");
    }
    return new Run(piece, offset * bits / 8, run * bits / 8);
  }

  private static long[] strides(Shape shape) {
    long[] strides = new long[shape.rank()];
    long stride = 1;
    for (int d = strides.length - 1; d >= 0; d--) {
      strides[d] = stride;
      stride *= shape.extent(d);
    }
    return strides;
  }
}
