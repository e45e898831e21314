package dev.keepstone.core.tensor;

import java.util.Collections;
import java.util.List;

/// A box inside a tensor: an offset and an extent per dimension.
///
/// @param offset first index per dimension, each ≥ 0
/// @param extent indices covered per dimension; same rank as `offset`
public record Slice(List<Long> offset, Shape extent) {
  public Slice {
    offset = List.copyOf(offset);
    if (offset.size() != extent.rank()) {
      throw new IllegalArgumentException(
          "offset " + offset + " and extent " + extent + " differ in rank");
    }
    for (int d = 0; d < offset.size(); d++) {
      long at = offset.get(d);
      if (at < 0 || at > Long.MAX_VALUE - extent.extent(d)) {
        throw new IllegalArgumentException("slice at " + offset + " of " + extent + " overflows");
      }
    }
  }

  /// The slice that is the whole tensor.
  public static Slice whole(Shape shape) {
    return new Slice(Collections.nCopies(shape.rank(), 0L), shape);
  }

  /// Whether this lies inside a tensor of that shape.
  public boolean inside(Shape shape) {
    if (shape.rank() != extent.rank()) {
      return false;
    }
    for (int d = 0; d < offset.size(); d++) {
      if (offset.get(d) + extent.extent(d) > shape.extent(d)) {
        return false;
      }
    }
    return true;
  }

  /// Whether this is all of a tensor of that shape.
  public boolean covers(Shape shape) {
    return extent.equals(shape) && offset.stream().allMatch(at -> at == 0);
  }
}
