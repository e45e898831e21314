package dev.keepstone.core.diff;

import dev.keepstone.core.diff.DiffReport.Numbers;
import dev.keepstone.core.tensor.Dtype;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// Adds up by how much two tensors of one shape differ, chunk by chunk in the same order.
final class Values {
  private static final long MAGNITUDE = Long.MAX_VALUE;
  private static final long INFINITY = 0x7ff0000000000000L;

  /// Elements of a magnitude outside these, squared and added up, may leave the range of doubles.
  private static final double LARGE = 0x1p490;

  private static final double SMALL = 0x1p-480;

  private final Decoder decoderA;
  private final Decoder decoderB;
  private final int bitsA;
  private final int bitsB;
  private final int lanes;

  /// Both sides are integers that a double cannot tell apart.
  private final boolean longs;

  private final boolean signed;

  /// A power of two by which everything is multiplied before it is squared.
  private final double scale;

  private final double[] a = new double[Decoder.BLOCK];
  private final double[] b = new double[Decoder.BLOCK];
  private final double[] d = new double[Decoder.BLOCK];
  private final long[] longsA;
  private final long[] longsB;

  private double aa;
  private double bb;
  private double ab;
  private double dd;
  private double maxD;
  private double magnitude;
  private long finite;
  private long nonfiniteA;
  private long nonfiniteB;

  /// @throws java.util.NoSuchElementException where one has no values: [Decoder#of]
  Values(Dtype a, Dtype b, double scale) {
    decoderA = Decoder.of(a).orElseThrow();
    decoderB = Decoder.of(b).orElseThrow();
    lanes = Math.max(Decoder.lanes(a), Decoder.lanes(b));
    bitsA = a.bits() / Decoder.lanes(a);
    bitsB = b.bits() / Decoder.lanes(b);
    longs = a == b && (a == Dtype.I64 || a == Dtype.U64);
    signed = a == Dtype.I64;
    longsA = new long[longs ? Decoder.BLOCK : 0];
    longsB = new long[longs ? Decoder.BLOCK : 0];
    this.scale = scale;
  }

  /// Whether elements of these types can be subtracted from each other.
  static boolean comparable(Dtype a, Dtype b) {
    return Decoder.of(a).isPresent()
        && Decoder.of(b).isPresent()
        && Decoder.lanes(a) == Decoder.lanes(b);
  }

  /// Adds the next elements of both.
  void accept(MemorySegment chunkA, MemorySegment chunkB) {
    long count = chunkA.byteSize() * 8 / bitsA;
    for (long at = 0; at < count; at += Decoder.BLOCK) {
      int block = (int) Math.min(Decoder.BLOCK, count - at);
      MemorySegment blockA = chunkA.asSlice(at * bitsA / 8);
      MemorySegment blockB = chunkB.asSlice(at * bitsB / 8);
      decoderA.decode(blockA, block, a);
      decoderB.decode(blockB, block, b);
      if (scale != 1) {
        multiply(a, block);
        multiply(b, block);
      }
      subtract(blockA, blockB, block);
      add(block);
    }
  }

  private void multiply(double[] values, int count) {
    for (int i = 0; i < count; i++) {
      values[i] *= scale;
    }
  }

  private void subtract(MemorySegment blockA, MemorySegment blockB, int count) {
    if (!longs) {
      for (int i = 0; i < count; i++) {
        d[i] = a[i] - b[i];
      }
      return;
    }
    MemorySegment.copy(blockA, Decoder.Longs.LAYOUT, 0, longsA, 0, count);
    MemorySegment.copy(blockB, Decoder.Longs.LAYOUT, 0, longsB, 0, count);
    long flip = signed ? 0 : Long.MIN_VALUE;
    for (int i = 0; i < count; i++) {
      boolean above = (longsA[i] ^ flip) >= (longsB[i] ^ flip);
      double distance =
          Decoder.Longs.unsigned(above ? longsA[i] - longsB[i] : longsB[i] - longsA[i]);
      d[i] = above ? distance : -distance;
    }
  }

  private void add(int count) {
    long mostA = most(a, count);
    long mostB = most(b, count);
    if (mostA >= INFINITY || mostB >= INFINITY) {
      count = dropNonfinite(count);
      mostA = most(a, count);
      mostB = most(b, count);
    }
    finite += count;
    double most = Double.longBitsToDouble(Math.max(mostA, mostB));
    magnitude = Math.max(magnitude, most);
    maxD = Math.max(maxD, lanes == 1 ? Double.longBitsToDouble(most(d, count)) : modulus(count));
    aa += product(a, a, count);
    bb += product(b, b, count);
    ab += product(a, b, count);
    dd += product(d, d, count);
  }

  /// The largest magnitude, as bits: those of positive doubles are ordered as they are, with
  /// infinity and NaN above.
  private static long most(double[] values, int count) {
    long most = 0;
    for (int i = 0; i < count; i++) {
      most = Math.max(most, Double.doubleToRawLongBits(values[i]) & MAGNITUDE);
    }
    return most;
  }

  private double modulus(int count) {
    double most = 0;
    for (int i = 0; i < count; i += 2) {
      most = Math.max(most, Math.hypot(d[i], d[i + 1]));
    }
    return most;
  }

  /// Moves the elements that are finite on both sides to the front, and counts the others.
  private int dropNonfinite(int count) {
    int kept = 0;
    for (int i = 0; i < count; i += lanes) {
      boolean finiteA = true;
      boolean finiteB = true;
      for (int lane = i; lane < i + lanes; lane++) {
        a[kept + lane - i] = a[lane];
        b[kept + lane - i] = b[lane];
        d[kept + lane - i] = d[lane];
        finiteA &= Double.isFinite(a[lane]);
        finiteB &= Double.isFinite(b[lane]);
      }
      nonfiniteA += finiteA ? 0 : 1;
      nonfiniteB += finiteB ? 0 : 1;
      kept += finiteA && finiteB ? lanes : 0;
    }
    return kept;
  }

  /// Four sums, because each addition waits for the one before it in the same sum.
  private static double product(double[] x, double[] y, int count) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int i = 0;
    for (; i + 4 <= count; i += 4) {
      s0 += x[i] * y[i];
      s1 += x[i + 1] * y[i + 1];
      s2 += x[i + 2] * y[i + 2];
      s3 += x[i + 3] * y[i + 3];
    }
    for (; i < count; i++) {
      s0 += x[i] * y[i];
    }
    return (s0 + s1) + (s2 + s3);
  }

  /// The scale with which the sums have to be made again, or 1 where they can be trusted.
  double scaleNeeded() {
    boolean fits = magnitude == 0 || (magnitude < LARGE && magnitude > SMALL);
    return scale != 1 || fits
        ? 1
        : Math.scalb(1.0, -Math.clamp(Math.getExponent(magnitude), -1000, 1000));
  }

  Numbers numbers() {
    double normA = Math.sqrt(aa);
    double normB = Math.sqrt(bb);
    return new Numbers(
        finite == 0 ? null : Math.min(maxD / scale, Double.MAX_VALUE),
        ratio(Math.sqrt(dd), normA),
        orNull(Math.clamp(ab / normA / normB, -1.0, 1.0)),
        nonfiniteA,
        nonfiniteB);
  }

  private static @Nullable Double ratio(double difference, double norm) {
    // Nothing against nothing is no difference.
    return difference == 0 && norm == 0 ? Double.valueOf(0) : orNull(difference / norm);
  }

  private static @Nullable Double orNull(double value) {
    return Double.isFinite(value) ? value : null;
  }
}
