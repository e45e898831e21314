package dev.keepstone.core.format.torch;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.pickle.PickledTensor.Strided;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/// The row-major bytes of tensors with strides, read from the storage through a window.
///
/// A stretch of a tensor is cut into boxes of whole rows, planes and so on; each box is walked in
/// the order of the storage, so that a transposed matrix is read forward once per stretch, and not
/// once per row. For one thread.
final class StridedReader {
  private static final int WINDOW_BYTES = 256 << 10;

  /// With longer gaps between elements a window would hold mostly gaps.
  private static final int SMALL_WINDOW_BYTES = 4 << 10;

  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

  private final OpenFile file;
  private final MemorySegment window = MemorySegment.ofArray(new byte[WINDOW_BYTES]);
  private long windowAt = -1;
  private long windowBytes;

  StridedReader(OpenFile file) {
    this.file = file;
  }

  /// Fills `into` with bytes of the tensor from `offset` on.
  ///
  /// @param storage offset in the file of the storage's first byte
  /// @return false where the file has become shorter
  boolean read(Strided tensor, long storage, long offset, MemorySegment into) throws IOException {
    int element = tensor.elementBytes();
    long first = offset / element;
    long end = Math.ceilDiv(offset + into.byteSize(), (long) element);
    if (offset % element == 0 && into.byteSize() % element == 0) {
      return elements(tensor, storage, first, end, into);
    }
    // Somebody reads from within an element; all of it is wanted to turn it around.
    MemorySegment whole = MemorySegment.ofArray(new byte[Math.toIntExact((end - first) * element)]);
    boolean there = elements(tensor, storage, first, end, whole);
    MemorySegment.copy(whole, offset - first * element, into, 0, into.byteSize());
    return there;
  }

  private boolean elements(Strided tensor, long storage, long first, long end, MemorySegment into)
      throws IOException {
    if (tensor.isContiguous()) {
      long at = storage + (tensor.offset() + first) * tensor.elementBytes();
      return file.read(at, into) == into.byteSize();
    }
    windowBytes = 0;
    return new Stretch(tensor, storage, into, first).range(0, first, end, 0, 0);
  }

  /// Brings bytes of the file into the window, where they are not there yet.
  private boolean load(long at, long least, long most) throws IOException {
    if (at >= windowAt && at + least <= windowAt + windowBytes) {
      return true;
    }
    windowAt = at;
    windowBytes = file.read(at, window.asSlice(0, Math.max(least, Math.min(most, WINDOW_BYTES))));
    return windowBytes >= least;
  }

  /// Elements in a row of a box.
  ///
  /// @param stride from one to the next in the storage
  /// @param step from one to the next in the tensor
  private record Axis(long count, long stride, long step) {}

  /// One request.
  private final class Stretch {
    private final int element;
    private final long[] extents;
    private final long[] strides;
    private final long[] steps;
    private final long storage;
    private final MemorySegment into;
    private final long first;

    Stretch(Strided tensor, long storage, MemorySegment into, long first) {
      this.element = tensor.elementBytes();
      this.extents = tensor.extents().stream().mapToLong(Long::longValue).toArray();
      this.strides = tensor.strides().stream().mapToLong(Long::longValue).toArray();
      this.steps = new long[extents.length];
      long step = 1;
      for (int d = extents.length - 1; d >= 0; d--) {
        steps[d] = step;
        step *= extents[d];
      }
      this.storage = storage + tensor.offset() * element;
      this.into = into;
      this.first = first;
    }

    /// Elements of the dimensions from `d` on.
    ///
    /// @param from, to counted from the first element of these dimensions
    /// @param base where that lies in the storage, in elements
    /// @param at where it lies in the tensor
    boolean range(int d, long from, long to, long base, long at) throws IOException {
      if (from >= to) {
        return true;
      }
      if (d == extents.length) {
        return row(List.of(), base, at);
      }
      long step = steps[d];
      long index = from / step;
      long low = Math.ceilDiv(from, step);
      long high = to / step;
      if (low > high) {
        return range(
            d + 1,
            from - index * step,
            to - index * step,
            base + index * strides[d],
            at + index * step);
      }
      return range(
              d + 1,
              from - index * step,
              (low - index) * step,
              base + index * strides[d],
              at + index * step)
          && (low == high || box(d, low, high - low, base, at))
          && range(d + 1, 0, to - high * step, base + high * strides[d], at + high * step);
    }

    private boolean box(int d, long low, long count, long base, long at) throws IOException {
      List<Axis> axes = new ArrayList<>();
      axes.add(new Axis(count, strides[d], steps[d]));
      for (int inner = d + 1; inner < extents.length; inner++) {
        axes.add(new Axis(extents[inner], strides[inner], steps[inner]));
      }
      axes.removeIf(axis -> axis.count == 1);
      // In the order of the storage; of axes that stay where they are, the tensor's order.
      axes.sort(Comparator.comparingLong(Axis::stride).thenComparingLong(Axis::step).reversed());
      for (int i = axes.size() - 2; i >= 0; i--) {
        Axis outer = axes.get(i);
        Axis inner = axes.get(i + 1);
        if (outer.stride == inner.stride * inner.count && outer.step == inner.step * inner.count) {
          axes.set(i, new Axis(outer.count * inner.count, inner.stride, inner.step));
          axes.remove(i + 1);
        }
      }
      return walk(axes, base + low * strides[d], at + low * steps[d]);
    }

    private boolean walk(List<Axis> axes, long base, long at) throws IOException {
      if (axes.size() <= 1) {
        return row(axes, base, at);
      }
      Axis outer = axes.getFirst();
      List<Axis> inner = axes.subList(1, axes.size());
      for (long i = 0; i < outer.count; i++) {
        if (!walk(inner, base + i * outer.stride, at + i * outer.step)) {
          return false;
        }
      }
      return true;
    }

    /// The innermost axis, or one element where there is none.
    private boolean row(List<Axis> axes, long base, long at) throws IOException {
      Axis axis = axes.isEmpty() ? new Axis(1, 1, 1) : axes.getFirst();
      long from = storage + base * element;
      long to = (at - first) * element;
      if (axis.stride == 1 && axis.step == 1 && axis.count * element >= WINDOW_BYTES / 4) {
        MemorySegment run = into.asSlice(to, axis.count * element);
        return file.read(from, run) == run.byteSize();
      }
      long gap = axis.stride * element;
      for (long done = 0; done < axis.count; ) {
        long most = window(axis, done);
        if (!load(from, element, most)) {
          return false;
        }
        long inWindow = from - windowAt;
        long fit = gap == 0 ? axis.count : (windowBytes - inWindow - element) / gap + 1;
        long count = Math.min(fit, axis.count - done);
        scatter(inWindow, gap, to, axis.step * element, count);
        done += count;
        from += count * gap;
        to += count * axis.step * element;
      }
      return true;
    }

    /// What is worth reading at once: the rest of the row, where it has no long gaps.
    private long window(Axis axis, long done) {
      long gap = axis.stride * element;
      long left = (axis.count - done - 1) * gap + element;
      return gap > SMALL_WINDOW_BYTES ? element : Math.max(left, SMALL_WINDOW_BYTES);
    }

    private void scatter(long from, long gap, long to, long step, long count) {
      switch (element) {
        case 1 -> {
          for (long i = 0; i < count; i++) {
            into.set(BYTE, to + i * step, window.get(BYTE, from + i * gap));
          }
        }
        case 2 -> {
          for (long i = 0; i < count; i++) {
            into.set(SHORT, to + i * step, window.get(SHORT, from + i * gap));
          }
        }
        case 4 -> {
          for (long i = 0; i < count; i++) {
            into.set(INT, to + i * step, window.get(INT, from + i * gap));
          }
        }
        case 8 -> {
          for (long i = 0; i < count; i++) {
            into.set(LONG, to + i * step, window.get(LONG, from + i * gap));
          }
        }
        default -> {
          for (long i = 0; i < count; i++) {
            MemorySegment.copy(window, from + i * gap, into, to + i * step, element);
          }
        }
      }
    }
  }
}
