package dev.keepstone.core.reshard;

import dev.keepstone.core.tensor.Slice;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/// The boxes in which one tensor is saved, found by where they lie.
///
/// They are sorted along the dimension with most different offsets, so that a tensor cut into
/// columns costs no more than one cut into rows.
final class BoxIndex {
  private final List<Slice> boxes;
  private final int along;

  /// Indexes of the boxes that have elements, by their offset along the dimension.
  private final int[] sorted;

  private final long[] begins;

  /// The furthest end of all boxes up to each one.
  private final long[] ends;

  /// @param boxes of one tensor, all of one rank
  BoxIndex(List<Slice> boxes) {
    this.boxes = List.copyOf(boxes);
    this.along = bestDimension(this.boxes);
    this.sorted =
        IntStream.range(0, this.boxes.size())
            .filter(i -> this.boxes.get(i).extent().elementCount() > 0)
            .boxed()
            .sorted(Comparator.comparingLong(this::begin))
            .mapToInt(Integer::intValue)
            .toArray();
    this.begins = Arrays.stream(sorted).mapToLong(this::begin).toArray();
    this.ends = new long[sorted.length];
    long furthest = 0;
    for (int i = 0; i < sorted.length; i++) {
      furthest = Math.max(furthest, end(this.boxes.get(sorted[i])));
      ends[i] = furthest;
    }
  }

  private static int bestDimension(List<Slice> boxes) {
    int rank = boxes.isEmpty() ? 0 : boxes.getFirst().extent().rank();
    int best = 0;
    long most = 0;
    for (int d = 0; d < rank && boxes.size() > 1; d++) {
      int dimension = d;
      long different = boxes.stream().map(box -> box.offset().get(dimension)).distinct().count();
      if (different > most) {
        best = d;
        most = different;
      }
    }
    return best;
  }

  private long begin(int box) {
    Slice slice = boxes.get(box);
    return slice.offset().isEmpty() ? 0 : slice.offset().get(along);
  }

  private long end(Slice box) {
    return box.offset().isEmpty() ? 1 : box.offset().get(along) + box.extent().extent(along);
  }

  /// The boxes that share an element with a slice, in their own order.
  int[] touching(Slice slice) {
    if (slice.extent().elementCount() == 0) {
      return new int[0];
    }
    long begin = slice.offset().isEmpty() ? 0 : slice.offset().get(along);
    int after = firstFrom(end(slice));
    IntStream.Builder found = IntStream.builder();
    for (int i = after - 1; i >= 0 && ends[i] > begin; i--) {
      if (share(boxes.get(sorted[i]), slice)) {
        found.add(sorted[i]);
      }
    }
    return found.build().sorted().toArray();
  }

  /// The first of the sorted that begins at a position or behind it.
  private int firstFrom(long position) {
    int low = 0;
    int high = begins.length;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (begins[middle] < position) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  private static boolean share(Slice a, Slice b) {
    for (int d = 0; d < a.offset().size(); d++) {
      if (a.offset().get(d) + a.extent().extent(d) <= b.offset().get(d)
          || b.offset().get(d) + b.extent().extent(d) <= a.offset().get(d)) {
        return false;
      }
    }
    return true;
  }
}
