package dev.keepstone.core.health;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/// Health of F64 elements; keys as in [WordKernel].
///
/// Squares of doubles leave the range of doubles at both ends, so a block of large or of small
/// elements is scaled by a power of two before it is squared, and each of the three kinds of blocks
/// has its own sum.
final class DoubleKernel implements HealthScan.Kernel {
  private static final ValueLayout.OfLong WORD =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final long INFINITY = 0x7ff0000000000000L;

  /// Elements of this magnitude and 2^20 of them are far from overflow when squared.
  private static final double LARGE = 0x1p490;

  /// Below this, squares lose bits.
  private static final double SMALL = 0x1p-480;

  private static final double SCALE = 0x1p600;

  /// A block, as long as one needed to be: of a hundred thousand tensors most are small.
  private long[] words = {};

  private long min = Long.MAX_VALUE;
  private long max = Long.MIN_VALUE;
  private double squares;
  private double largeSquares;
  private double smallSquares;
  private long finite;
  private long nonfinite;

  @Override
  public void accept(MemorySegment block) {
    int count = (int) (block.byteSize() / 8);
    if (words.length < count) {
      words = new long[count];
    }
    MemorySegment.copy(block, WORD, 0, words, 0, count);
    if (!addFinite(count)) {
      int kept = dropNonfinite(count);
      nonfinite += count - kept;
      count = kept;
      addFinite(kept);
    }
    finite += count;
  }

  /// Adds all of a block without a non-finite element, or nothing.
  private boolean addFinite(int count) {
    long[] from = words;
    long least = Long.MAX_VALUE;
    long greatest = Long.MIN_VALUE;
    for (int i = 0; i < count; i++) {
      long key = from[i] ^ ((from[i] >> 63) & Long.MAX_VALUE);
      least = Math.min(least, key);
      greatest = Math.max(greatest, key);
    }
    if (count > 0 && (least <= ~INFINITY || greatest >= INFINITY)) {
      return false;
    }
    if (count > 0) {
      min = Math.min(min, least);
      max = Math.max(max, greatest);
      addSquares(count, Math.max(Math.abs(value(least)), Math.abs(value(greatest))));
    }
    return true;
  }

  private int dropNonfinite(int count) {
    int kept = 0;
    for (int i = 0; i < count; i++) {
      if ((words[i] & Long.MAX_VALUE) < INFINITY) {
        words[kept++] = words[i];
      }
    }
    return kept;
  }

  private void addSquares(int count, double magnitude) {
    if (magnitude > LARGE) {
      largeSquares += squares(count, 1 / SCALE);
    } else if (magnitude < SMALL) {
      smallSquares += squares(count, SCALE);
    } else {
      squares += squares(count, 1);
    }
  }

  private double squares(int count, double scale) {
    long[] from = words;
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    int i = 0;
    for (; i + 8 <= count; i += 8) {
      s0 += square(Double.longBitsToDouble(from[i]) * scale);
      s1 += square(Double.longBitsToDouble(from[i + 1]) * scale);
      s2 += square(Double.longBitsToDouble(from[i + 2]) * scale);
      s3 += square(Double.longBitsToDouble(from[i + 3]) * scale);
      s4 += square(Double.longBitsToDouble(from[i + 4]) * scale);
      s5 += square(Double.longBitsToDouble(from[i + 5]) * scale);
      s6 += square(Double.longBitsToDouble(from[i + 6]) * scale);
      s7 += square(Double.longBitsToDouble(from[i + 7]) * scale);
    }
    for (; i < count; i++) {
      s0 += square(Double.longBitsToDouble(from[i]) * scale);
    }
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
  }

  private static double square(double value) {
    return value * value;
  }

  private static double value(long key) {
    return Double.longBitsToDouble(key ^ ((key >> 63) & Long.MAX_VALUE));
  }

  private @Nullable Double norm() {
    double norm;
    if (largeSquares > 0) {
      norm = Math.sqrt(largeSquares + squares / SCALE / SCALE) * SCALE;
    } else if (squares > 0) {
      // What small blocks add is below the last bit of any sum of others but the least.
      norm = Math.sqrt(squares + smallSquares / SCALE / SCALE);
    } else {
      norm = Math.sqrt(smallSquares) / SCALE;
    }
    return Double.isFinite(norm) ? norm : null;
  }

  @Override
  public Health result() {
    return finite == 0
        ? new Health(nonfinite, null, null, null)
        : new Health(nonfinite, value(min), value(max), norm());
  }
}
