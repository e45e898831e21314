package dev.keepstone.core.convert;

import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.StoredTensor;
import java.util.ArrayList;
import java.util.List;

/// All of a tensor, or some of its rows: indices of its first dimension that follow each other. So
/// its bytes follow each other too, whatever the pieces in which the tensor lies.
///
/// @param first row
/// @param rows how many; of a scalar, 1
public record Share(StoredTensor source, long first, long rows) {
  public Share {
    if (first < 0 || rows < 0 || first > rowsOf(source.tensor().shape()) - rows) {
      throw new IllegalArgumentException(
          rows + " rows from " + first + " of " + source.tensor().shape());
    }
  }

  /// All of a tensor.
  public static Share whole(StoredTensor source) {
    return new Share(source, 0, rowsOf(source.tensor().shape()));
  }

  /// What one of several ranks has where they share a tensor evenly. A scalar is whole on each.
  ///
  /// Elements smaller than a byte are not cut within one: there, the last rank has the rest.
  public static Share of(StoredTensor source, int rank, int ranks) {
    Shape shape = source.tensor().shape();
    if (shape.rank() == 0) {
      return whole(source);
    }
    long rows = shape.extent(0);
    long unit = 1;
    while (unit < 8 && rowBits(source.tensor()) * unit % 8 != 0) {
      unit *= 2;
    }
    long first = begin(rows, unit, rank, ranks);
    return new Share(source, first, begin(rows, unit, rank + 1, ranks) - first);
  }

  private static long begin(long rows, long unit, int rank, int ranks) {
    long units = rows / unit;
    // Without a product that could overflow.
    return rank == ranks ? rows : unit * (units / ranks * rank + units % ranks * rank / ranks);
  }

  private static long rowsOf(Shape shape) {
    return shape.rank() == 0 ? 1 : shape.extent(0);
  }

  private static long rowBits(Tensor tensor) {
    long bits = tensor.dtype().bits();
    for (int d = 1; d < tensor.shape().rank(); d++) {
      bits *= tensor.shape().extent(d);
    }
    return bits;
  }

  /// The tensor as it is written.
  Tensor target() {
    Tensor tensor = source.tensor();
    return new Tensor(tensor.name(), tensor.dtype(), slice().extent());
  }

  /// Which part of its tensor it is.
  public Slice slice() {
    Shape shape = source.tensor().shape();
    if (shape.rank() == 0) {
      return Slice.whole(shape);
    }
    List<Long> offset = new ArrayList<>(Slice.whole(shape).offset());
    offset.set(0, first);
    List<Long> extent = new ArrayList<>(shape.extents());
    extent.set(0, rows);
    return new Slice(offset, new Shape(extent));
  }

  /// Where its bytes begin among those of the tensor.
  long from() {
    return first == 0 ? 0 : first * rowBits(source.tensor()) / 8;
  }

  long byteLength() {
    return target().byteLength();
  }
}
