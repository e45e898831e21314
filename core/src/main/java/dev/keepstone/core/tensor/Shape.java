package dev.keepstone.core.tensor;

import java.util.Arrays;
import java.util.List;

/// The extents of a tensor, outermost first. A scalar has rank 0 and one element; an extent of 0
/// makes a tensor empty.
///
/// @param extents each ≥ 0, at most [#MAX_RANK] of them; their product fits a `long`
public record Shape(List<Long> extents) {
  /// The highest rank accepted; torch and NumPy stop at 64.
  public static final int MAX_RANK = 64;

  /// The shape of a scalar.
  public static final Shape SCALAR = new Shape(List.of());

  public Shape {
    extents = List.copyOf(extents);
    if (extents.size() > MAX_RANK) {
      throw new IllegalArgumentException(
          "a shape has at most " + MAX_RANK + " dimensions, found " + extents.size());
    }
    for (long extent : extents) {
      if (extent < 0) {
        throw new IllegalArgumentException(
            "an extent is at least 0, found " + extent + " in " + extents);
      }
    }
    countElements(extents);
  }

  /// @throws IllegalArgumentException where an extent is negative, or rank or product is too large
  public static Shape of(long... extents) {
    return new Shape(Arrays.stream(extents).boxed().toList());
  }

  public int rank() {
    return extents.size();
  }

  public long extent(int dimension) {
    return extents.get(dimension);
  }

  /// The number of elements: 1 for a scalar, 0 where any extent is 0.
  public long elementCount() {
    return countElements(extents);
  }

  /// Bytes of a dense tensor of this shape.
  ///
  /// @throws IllegalArgumentException where the bits are no multiple of 8 (an odd count of `F4`) or
  ///   overflow
  public long byteLength(Dtype dtype) {
    try {
      long bits = Math.multiplyExact(elementCount(), (long) dtype.bits());
      if (bits % 8 != 0) {
        throw new IllegalArgumentException(
            dtype.name() + this + " ends within a byte: " + bits + " bits");
      }
      return bits / 8;
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          dtype.name() + this + " has more bits than fit 63 bits", e);
    }
  }

  private static long countElements(List<Long> extents) {
    long count = 1;
    for (long extent : extents) {
      try {
        count = Math.multiplyExact(count, extent);
      } catch (ArithmeticException e) {
        // The reference reader multiplies from the left and stops at the first overflow, so [0,
        // 2^63, …] is
        // accepted and [2^62, 4, 0] is not; a reader that looked for the zero first would accept
        // other files.
        throw new IllegalArgumentException("the elements of " + extents + " overflow 63 bits", e);
      }
    }
    return count;
  }

  @Override
  public String toString() {
    return extents.toString();
  }
}
