package dev.keepstone.core.reshard;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Slice;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// The elements that a saved piece and a wanted slice of one tensor share: runs of bytes, which lie
/// in the piece and in the dense row-major target of the slice at distances of their own, in the
/// same order in both.
public final class Overlap {
  /// The JVM cannot stop for a collection while one copy runs.
  private static final long STRIDE_BYTES = 8L << 20;

  /// Bytes of one run; 0 where nothing is shared.
  private final long run;

  private final long sourceBase;
  private final long targetBase;

  /// Of the dimensions outside a run, outermost first: how many runs, and how far apart.
  private final long[] counts;

  private final long[] sourceStrides;
  private final long[] targetStrides;

  private Overlap(
      long run,
      long sourceBase,
      long targetBase,
      long[] counts,
      long[] sourceStrides,
      long[] targetStrides) {
    this.run = run;
    this.sourceBase = sourceBase;
    this.targetBase = targetBase;
    this.counts = counts;
    this.sourceStrides = sourceStrides;
    this.targetStrides = targetStrides;
  }

  /// What a piece and a slice share.
  ///
  /// @param source a piece, or a box of its tensor that lies dense and row-major
  /// @param target a slice of the same tensor
  /// @throws KeepstoneException.Refused where a run begins or ends within a byte, as runs of
  ///   elements smaller than a byte may
  public static Overlap of(Piece source, Slice target) {
    return of(source.tensor().name(), source.tensor().dtype(), source.slice(), target);
  }

  private static Overlap of(String name, Dtype dtype, Slice source, Slice target) {
    int rank = source.extent().rank();
    long[] from = new long[rank];
    long[] extent = new long[rank];
    for (int d = 0; d < rank; d++) {
      from[d] = Math.max(source.offset().get(d), target.offset().get(d));
      long end =
          Math.min(
              source.offset().get(d) + source.extent().extent(d),
              target.offset().get(d) + target.extent().extent(d));
      extent[d] = end - from[d];
      if (extent[d] <= 0) {
        return new Overlap(0, 0, 0, new long[0], new long[0], new long[0]);
      }
    }
    // A run takes in dimensions from the innermost outwards, as long as those inside are whole in
    // both.
    int outer = rank;
    long elements = 1;
    boolean whole = true;
    while (outer > 0 && whole) {
      outer--;
      elements *= extent[outer];
      whole =
          extent[outer] == source.extent().extent(outer)
              && extent[outer] == target.extent().extent(outer);
    }
    Bits bits = new Bits(name, dtype);
    long[] sources = strides(source);
    long[] targets = strides(target);
    long sourceAt = 0;
    long targetAt = 0;
    for (int d = 0; d < rank; d++) {
      sourceAt += (from[d] - source.offset().get(d)) * sources[d];
      targetAt += (from[d] - target.offset().get(d)) * targets[d];
    }
    long[] counts = Arrays.copyOf(extent, outer);
    return new Overlap(
        bits.bytes(elements),
        bits.bytes(sourceAt),
        bits.bytes(targetAt),
        counts,
        bits.bytes(sources, counts),
        bits.bytes(targets, counts));
  }

  /// Elements from one index to the next, per dimension.
  private static long[] strides(Slice box) {
    long[] strides = new long[box.extent().rank()];
    long stride = 1;
    for (int d = strides.length - 1; d >= 0; d--) {
      strides[d] = stride;
      stride *= box.extent().extent(d);
    }
    return strides;
  }

  /// Turns counts of elements into bytes.
  private record Bits(String name, Dtype dtype) {
    long bytes(long elements) {
      long bits = Math.multiplyExact(elements, (long) dtype.bits());
      if (bits % 8 != 0) {
        throw new KeepstoneException.Refused(
            "a row of the slice begins or ends within a byte: elements of "
                + dtype
                + " have "
                + dtype.bits()
                + " bits",
            "tensor " + name,
            "cut the tensor along another dimension, or at an even index");
      }
      return bits / 8;
    }

    long[] bytes(long[] strides, long[] counts) {
      long[] bytes = new long[counts.length];
      for (int d = 0; d < counts.length; d++) {
        // Where there is one index only, nobody walks along it.
        bytes[d] = counts[d] == 1 ? 0 : bytes(strides[d]);
      }
      return bytes;
    }
  }

  /// Whether nothing is shared.
  public boolean isEmpty() {
    return run == 0;
  }

  /// Bytes that are shared.
  public long byteLength() {
    long bytes = run;
    for (long count : counts) {
      bytes *= count;
    }
    return bytes;
  }

  /// Where the first shared byte lies in the source.
  public long begin() {
    return sourceBase;
  }

  /// After the last shared byte in the source.
  public long end() {
    long at = sourceBase + run;
    for (int d = 0; d < counts.length; d++) {
      at += (counts[d] - 1) * sourceStrides[d];
    }
    return at;
  }

  /// Whether any of the source's bytes `[from, to)` is shared.
  public boolean touches(long from, long to) {
    Walk walk = new Walk();
    return run > 0 && from < to && walk.seek(from) && walk.source() < to;
  }

  /// Copies what is shared of a range of the source to where it belongs.
  ///
  /// @param bytes the source's bytes from `at` on
  /// @param target all of the slice, dense and row-major
  /// @return bytes copied
  public long copy(MemorySegment bytes, long at, MemorySegment target) {
    long end = at + bytes.byteSize();
    long copied = 0;
    Walk walk = new Walk();
    for (boolean more = run > 0 && walk.seek(at); more && walk.source() < end; more = walk.next()) {
      long begin = Math.max(walk.source(), at);
      long length = Math.min(walk.source() + run, end) - begin;
      copy(bytes, begin - at, target, walk.target() + begin - walk.source(), length);
      copied += length;
    }
    return copied;
  }

  private static void copy(
      MemorySegment source, long from, MemorySegment target, long to, long length) {
    for (long done = 0; done < length; done += STRIDE_BYTES) {
      MemorySegment.copy(
          source, from + done, target, to + done, Math.min(STRIDE_BYTES, length - done));
    }
  }

  /// A place among the runs.
  private final class Walk {
    private final long[] index = new long[counts.length];
    private long source = sourceBase;
    private long target = targetBase;

    long source() {
      return source;
    }

    long target() {
      return target;
    }

    /// Goes to the first run that ends after a byte of the source.
    ///
    /// @return whether there is one
    boolean seek(long at) {
      long missing = at - run + 1 - sourceBase;
      for (int d = 0; d < index.length && missing > 0; d++) {
        if (counts[d] == 1) {
          continue;
        }
        long step = missing / sourceStrides[d];
        if (step >= counts[d]) {
          return carry(d);
        }
        index[d] = step;
        source += step * sourceStrides[d];
        target += step * targetStrides[d];
        missing -= step * sourceStrides[d];
      }
      return missing <= 0 || carry(index.length);
    }

    boolean next() {
      return carry(index.length);
    }

    /// The next index of the dimensions outside `inner`, all others being 0.
    private boolean carry(int inner) {
      for (int d = inner - 1; d >= 0; d--) {
        if (index[d] + 1 < counts[d]) {
          index[d]++;
          source += sourceStrides[d];
          target += targetStrides[d];
          return true;
        }
        source -= index[d] * sourceStrides[d];
        target -= index[d] * targetStrides[d];
        index[d] = 0;
      }
      return false;
    }
  }
}
