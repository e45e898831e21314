package dev.keepstone.core.reshard;

import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;

/// How trainings cut a tensor over their ranks, and what any of it holds.
final class Layouts {
  private Layouts() {}

  /// Cuts a box in even parts along a dimension as frameworks do: the first ones are the longest,
  /// and the last may be short or empty.
  static List<Slice> chunks(Slice box, int dimension, int parts) {
    long extent = box.extent().extent(dimension);
    long each = Math.ceilDiv(extent, parts);
    List<Slice> cut = new ArrayList<>();
    for (int i = 0; i < parts; i++) {
      long begin = Math.min(extent, i * each);
      List<Long> offset = new ArrayList<>(box.offset());
      offset.set(dimension, offset.get(dimension) + begin);
      List<Long> extents = new ArrayList<>(box.extent().extents());
      extents.set(dimension, Math.min(extent, begin + each) - begin);
      cut.add(new Slice(offset, new Shape(extents)));
    }
    return cut;
  }

  /// A layout of one tensor over some ranks: the box of each rank, some of them empty.
  static List<Slice> any(RandomGenerator random, Shape shape, int ranks) {
    Slice whole = Slice.whole(shape);
    if (shape.rank() == 0 || ranks == 1) {
      return List.of(whole);
    }
    int first = random.nextInt(shape.rank());
    return switch (random.nextInt(4)) {
      // Pipeline, or replicas of which one writes.
      case 0 -> List.of(whole);
      // Fully sharded, or tensor parallel by rows or columns.
      case 1 -> chunks(whole, first, ranks);
      // A mesh of two dimensions, which may cut the same dimension twice.
      default -> {
        int outer = 1 + random.nextInt(ranks);
        int second = random.nextInt(shape.rank());
        List<Slice> mesh = new ArrayList<>();
        chunks(whole, first, outer)
            .forEach(part -> mesh.addAll(chunks(part, second, Math.ceilDiv(ranks, outer))));
        yield mesh;
      }
    };
  }

  /// The bytes of a box out of those of its tensor, element by element. Boxes of elements smaller
  /// than a byte begin and end at bytes.
  static byte[] cut(byte[] tensor, Shape shape, Dtype dtype, Slice box) {
    int bits = dtype.bits();
    byte[] cut = new byte[(int) (box.extent().elementCount() * bits / 8)];
    long[] index = new long[shape.rank()];
    for (long element = 0; element < box.extent().elementCount(); element++) {
      long at = 0;
      for (int d = 0; d < index.length; d++) {
        at = at * shape.extent(d) + box.offset().get(d) + index[d];
      }
      for (int bit = 0; bit < bits; bit++) {
        int from = (int) (at * bits + bit);
        int to = (int) (element * bits + bit);
        if ((tensor[from / 8] >> from % 8 & 1) == 1) {
          cut[to / 8] |= (byte) (1 << to % 8);
        }
      }
      for (int d = index.length - 1; d >= 0 && ++index[d] == box.extent().extent(d); d--) {
        index[d] = 0;
      }
    }
    return cut;
  }

  static byte[] random(RandomGenerator random, int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  static Shape shape(RandomGenerator random, int most) {
    long[] extents = new long[random.nextInt(5)];
    Arrays.setAll(extents, _ -> random.nextInt(12) == 0 ? 0 : 1 + random.nextInt(most));
    return Shape.of(extents);
  }
}
