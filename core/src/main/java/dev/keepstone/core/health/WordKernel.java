package dev.keepstone.core.health;

import dev.keepstone.core.tensor.Dtype;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// Health of elements that fit 32 bits: F32, one to a word; BF16 and F16, two to a word.
///
/// An element is looked at as an `int` that holds it in its upper bits. Flipping the lower 31 bits
/// of the negative ones makes a *key*: keys are ordered as the elements are, with NaN and infinity
/// at both ends. So two integer comparisons find the extremes and, at the end of a block, whether
/// anything in it was not finite; only then its finite elements are gathered and looked at again.
final class WordKernel implements HealthScan.Kernel {
  private static final ValueLayout.OfInt WORD =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort HALF =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final int MAGNITUDE = 0x7fffffff;
  private static final int UPPER = 0xffff0000;

  /// How elements lie in a word.
  ///
  /// @see #of
  enum Lanes {
    F32(0x7f800000),
    BF16(0x7f800000),
    F16(0x7c000000);

    /// The upper bits of positive infinity, which is its key too.
    final int infinity;

    Lanes(int infinity) {
      this.infinity = infinity;
    }

    static Lanes of(Dtype dtype) {
      return valueOf(dtype.name());
    }

    /// The element that an `int` holds in its upper bits.
    double value(int bits) {
      return switch (this) {
        case F32, BF16 -> Float.intBitsToFloat(bits);
        case F16 -> Float.float16ToFloat((short) (bits >> 16));
      };
    }
  }

  private final Lanes lanes;

  /// A block, as long as one needed to be: of a hundred thousand tensors most are small.
  private int[] words = {};

  /// The finite elements of a block that has others too, as F32.
  private int[] kept = {};

  private double min = Double.POSITIVE_INFINITY;
  private double max = Double.NEGATIVE_INFINITY;
  private double squares;
  private long finite;
  private long nonfinite;

  WordKernel(Lanes lanes) {
    this.lanes = lanes;
  }

  @Override
  public void accept(MemorySegment block) {
    int count = (int) (block.byteSize() / 4);
    long elements = lanes == Lanes.F32 ? count : 2L * count;
    if (words.length < count) {
      words = new int[count];
    }
    MemorySegment.copy(block, WORD, 0, words, 0, count);
    long extremes = lanes == Lanes.F32 ? extremesOfWords(words, count) : extremesOfHalves(count);
    if (least(extremes) <= ~lanes.infinity || greatest(extremes) >= lanes.infinity) {
      makeRoom((int) elements);
      addKept(lanes == Lanes.F32 ? keepWords(count) : keepHalves(count), elements);
    } else if (count > 0) {
      add(lanes, extremes, elements);
      squares +=
          switch (lanes) {
            case F32 -> squaresOfF32(words, count);
            case BF16 -> squaresOfBF16(count);
            case F16 -> squaresOfF16(count);
          };
    }
    if (block.byteSize() % 4 != 0) {
      // An odd number of halves: the last one has no word of its own.
      makeRoom(1);
      addKept(keep(block.get(HALF, 4L * count) << 16, 0), 1);
    }
  }

  private void add(Lanes in, long extremes, long count) {
    min = Math.min(min, in.value(key(least(extremes))));
    max = Math.max(max, in.value(key(greatest(extremes))));
    finite += count;
  }

  private void addKept(int count, long of) {
    nonfinite += of - count;
    if (count > 0) {
      add(Lanes.F32, extremesOfWords(kept, count), count);
      squares += squaresOfF32(kept, count);
    }
  }

  private void makeRoom(int elements) {
    if (kept.length < elements) {
      kept = new int[elements];
    }
  }

  private int keepWords(int count) {
    int next = 0;
    for (int i = 0; i < count; i++) {
      next = keep(words[i], next);
    }
    return next;
  }

  private int keepHalves(int count) {
    int next = 0;
    for (int i = 0; i < count; i++) {
      next = keep(words[i] << 16, next);
      next = keep(words[i] & UPPER, next);
    }
    return next;
  }

  /// Writes an element down, and tells where the next one goes: over it where it is not finite.
  /// Without a branch, which in a tensor half full of NaN would be guessed wrong every other time.
  private int keep(int bits, int at) {
    kept[at] =
        lanes == Lanes.F16
            ? Float.floatToRawIntBits(Float.float16ToFloat((short) (bits >> 16)))
            : bits;
    return at + (((bits & MAGNITUDE) - lanes.infinity) >>> 31);
  }

  /// Its own inverse.
  private static int key(int bits) {
    return bits ^ ((bits >> 31) & MAGNITUDE);
  }

  private static int least(long extremes) {
    return (int) (extremes >> 32);
  }

  private static int greatest(long extremes) {
    return (int) extremes;
  }

  /// The least key above the greatest one.
  private static long extremesOfWords(int[] from, int count) {
    int least = Integer.MAX_VALUE;
    int greatest = Integer.MIN_VALUE;
    for (int i = 0; i < count; i++) {
      int key = from[i] ^ ((from[i] >> 31) & MAGNITUDE);
      least = Math.min(least, key);
      greatest = Math.max(greatest, key);
    }
    return pair(least, greatest);
  }

  private long extremesOfHalves(int count) {
    int[] from = words;
    int least = Integer.MAX_VALUE;
    int greatest = Integer.MIN_VALUE;
    for (int i = 0; i < count; i++) {
      int low = from[i] << 16;
      int high = from[i] & UPPER;
      int lowKey = low ^ ((low >> 31) & MAGNITUDE);
      int highKey = high ^ ((high >> 31) & MAGNITUDE);
      least = Math.min(least, Math.min(lowKey, highKey));
      greatest = Math.max(greatest, Math.max(lowKey, highKey));
    }
    return pair(least, greatest);
  }

  private static long pair(int least, int greatest) {
    return (long) least << 32 | (greatest & 0xffffffffL);
  }

  // Eight sums, because each addition waits for the one before it in the same sum.

  private static double squaresOfF32(int[] from, int count) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    int i = 0;
    for (; i + 8 <= count; i += 8) {
      s0 += square(Float.intBitsToFloat(from[i]));
      s1 += square(Float.intBitsToFloat(from[i + 1]));
      s2 += square(Float.intBitsToFloat(from[i + 2]));
      s3 += square(Float.intBitsToFloat(from[i + 3]));
      s4 += square(Float.intBitsToFloat(from[i + 4]));
      s5 += square(Float.intBitsToFloat(from[i + 5]));
      s6 += square(Float.intBitsToFloat(from[i + 6]));
      s7 += square(Float.intBitsToFloat(from[i + 7]));
    }
    for (; i < count; i++) {
      s0 += square(Float.intBitsToFloat(from[i]));
    }
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
  }

  private double squaresOfBF16(int count) {
    int[] from = words;
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    int i = 0;
    for (; i + 4 <= count; i += 4) {
      s0 += square(Float.intBitsToFloat(from[i] << 16));
      s1 += square(Float.intBitsToFloat(from[i] & UPPER));
      s2 += square(Float.intBitsToFloat(from[i + 1] << 16));
      s3 += square(Float.intBitsToFloat(from[i + 1] & UPPER));
      s4 += square(Float.intBitsToFloat(from[i + 2] << 16));
      s5 += square(Float.intBitsToFloat(from[i + 2] & UPPER));
      s6 += square(Float.intBitsToFloat(from[i + 3] << 16));
      s7 += square(Float.intBitsToFloat(from[i + 3] & UPPER));
    }
    for (; i < count; i++) {
      s0 += square(Float.intBitsToFloat(from[i] << 16));
      s1 += square(Float.intBitsToFloat(from[i] & UPPER));
    }
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
  }

  private double squaresOfF16(int count) {
    int[] from = words;
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    int i = 0;
    for (; i + 4 <= count; i += 4) {
      s0 += square(Float.float16ToFloat((short) from[i]));
      s1 += square(Float.float16ToFloat((short) (from[i] >> 16)));
      s2 += square(Float.float16ToFloat((short) from[i + 1]));
      s3 += square(Float.float16ToFloat((short) (from[i + 1] >> 16)));
      s4 += square(Float.float16ToFloat((short) from[i + 2]));
      s5 += square(Float.float16ToFloat((short) (from[i + 2] >> 16)));
      s6 += square(Float.float16ToFloat((short) from[i + 3]));
      s7 += square(Float.float16ToFloat((short) (from[i + 3] >> 16)));
    }
    for (; i < count; i++) {
      s0 += square(Float.float16ToFloat((short) from[i]));
      s1 += square(Float.float16ToFloat((short) (from[i] >> 16)));
    }
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
  }

  private static double square(double value) {
    return value * value;
  }

  @Override
  public Health result() {
    return finite == 0
        ? new Health(nonfinite, null, null, null)
        : new Health(nonfinite, min, max, Math.sqrt(squares));
  }
}
