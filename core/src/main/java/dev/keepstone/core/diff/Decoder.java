package dev.keepstone.core.diff;

import dev.keepstone.core.tensor.Dtype;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Optional;
import java.util.function.IntToDoubleFunction;

/// Elements as doubles, block by block, by way of small heap arrays: over those the JIT compiler
/// makes vector code, over memory segments it does not.
///
/// A complex element is two doubles.
interface Decoder {
  /// Elements decoded at once: 64 KiB of doubles, of reals.
  int BLOCK = 8192;

  /// @param from little-endian elements
  /// @param count of doubles, at most [#BLOCK]
  void decode(MemorySegment from, int count, double[] into);

  /// Doubles per element.
  static int lanes(Dtype dtype) {
    return dtype == Dtype.C32 || dtype == Dtype.C64 || dtype == Dtype.C128 ? 2 : 1;
  }

  /// Empty where elements have no values that could be subtracted: how six bits are packed is not
  /// agreed on.
  static Optional<Decoder> of(Dtype dtype) {
    return switch (dtype) {
      case F6_E2M3, F6_E3M2 -> Optional.empty();
      case F4 -> Optional.of(new Nibbles());
      case BOOL, U8 -> Optional.of(new Bytes(bits -> bits));
      case I8 -> Optional.of(new Bytes(bits -> (byte) bits));
      case F8_E4M3 ->
          Optional.of(new Bytes(bits -> (bits & 0x7f) == 0x7f ? Double.NaN : small(bits, 3, 7)));
      case F8_E5M2 ->
          Optional.of(
              // A half without the lower half of its fraction.
              new Bytes(bits -> Float.float16ToFloat((short) (bits << 8))));
      case F8_E4M3FNUZ ->
          Optional.of(new Bytes(bits -> bits == 0x80 ? Double.NaN : small(bits, 3, 8)));
      case F8_E5M2FNUZ ->
          Optional.of(new Bytes(bits -> bits == 0x80 ? Double.NaN : small(bits, 2, 16)));
      case F8_E8M0 ->
          Optional.of(new Bytes(bits -> bits == 0xff ? Double.NaN : Math.scalb(1.0, bits - 127)));
      case I16, U16, F16, BF16, C32 -> Optional.of(new Shorts(dtype));
      case I32, U32, F32, C64 -> Optional.of(new Ints(dtype));
      case I64, U64, F64, C128 -> Optional.of(new Longs(dtype));
    };
  }

  /// A float of one byte, without its special values.
  private static double small(int bits, int fractionBits, int bias) {
    int exponent = (bits & 0x7f) >> fractionBits;
    int fraction = bits & ((1 << fractionBits) - 1);
    double magnitude =
        exponent == 0
            ? Math.scalb((double) fraction, 1 - bias - fractionBits)
            : Math.scalb((double) (fraction | 1 << fractionBits), exponent - bias - fractionBits);
    return (bits & 0x80) == 0 ? magnitude : -magnitude;
  }

  /// Elements of one byte, by a table.
  final class Bytes implements Decoder {
    private final double[] values = new double[256];
    private final byte[] stage = new byte[BLOCK];

    private Bytes(IntToDoubleFunction value) {
      for (int bits = 0; bits < values.length; bits++) {
        values[bits] = value.applyAsDouble(bits);
      }
    }

    @Override
    public void decode(MemorySegment from, int count, double[] into) {
      MemorySegment.copy(from, ValueLayout.JAVA_BYTE, 0, stage, 0, count);
      for (int i = 0; i < count; i++) {
        into[i] = values[stage[i] & 0xff];
      }
    }
  }

  /// E2M1, two to a byte, the lower half first.
  final class Nibbles implements Decoder {
    private static final double[] VALUES = {
      0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6
    };
    private final byte[] stage = new byte[BLOCK / 2];

    @Override
    public void decode(MemorySegment from, int count, double[] into) {
      MemorySegment.copy(from, ValueLayout.JAVA_BYTE, 0, stage, 0, count / 2);
      for (int i = 0; i < count; i++) {
        into[i] = VALUES[stage[i / 2] >> 4 * (i % 2) & 0xf];
      }
    }
  }

  /// Elements, or parts of them, of 16 bits.
  final class Shorts implements Decoder {
    private static final ValueLayout.OfShort LAYOUT =
        ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private final Dtype dtype;
    private final short[] stage = new short[BLOCK];

    private Shorts(Dtype dtype) {
      this.dtype = dtype;
    }

    @Override
    public void decode(MemorySegment from, int count, double[] into) {
      MemorySegment.copy(from, LAYOUT, 0, stage, 0, count);
      switch (dtype) {
        case BF16 -> {
          for (int i = 0; i < count; i++) {
            into[i] = Float.intBitsToFloat(stage[i] << 16);
          }
        }
        case I16 -> {
          for (int i = 0; i < count; i++) {
            into[i] = stage[i];
          }
        }
        case U16 -> {
          for (int i = 0; i < count; i++) {
            into[i] = stage[i] & 0xffff;
          }
        }
        default -> {
          for (int i = 0; i < count; i++) {
            into[i] = Float.float16ToFloat(stage[i]);
          }
        }
      }
    }
  }

  /// Elements, or parts of them, of 32 bits.
  final class Ints implements Decoder {
    private static final ValueLayout.OfInt LAYOUT =
        ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private final Dtype dtype;
    private final int[] stage = new int[BLOCK];

    private Ints(Dtype dtype) {
      this.dtype = dtype;
    }

    @Override
    public void decode(MemorySegment from, int count, double[] into) {
      MemorySegment.copy(from, LAYOUT, 0, stage, 0, count);
      switch (dtype) {
        case I32 -> {
          for (int i = 0; i < count; i++) {
            into[i] = stage[i];
          }
        }
        case U32 -> {
          for (int i = 0; i < count; i++) {
            into[i] = stage[i] & 0xffffffffL;
          }
        }
        default -> {
          for (int i = 0; i < count; i++) {
            into[i] = Float.intBitsToFloat(stage[i]);
          }
        }
      }
    }
  }

  /// Elements, or parts of them, of 64 bits; integers beyond 2^53 lose their last bits.
  final class Longs implements Decoder {
    static final ValueLayout.OfLong LAYOUT =
        ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private final Dtype dtype;
    private final long[] stage = new long[BLOCK];

    private Longs(Dtype dtype) {
      this.dtype = dtype;
    }

    @Override
    public void decode(MemorySegment from, int count, double[] into) {
      MemorySegment.copy(from, LAYOUT, 0, stage, 0, count);
      switch (dtype) {
        case I64 -> {
          for (int i = 0; i < count; i++) {
            into[i] = stage[i];
          }
        }
        case U64 -> {
          for (int i = 0; i < count; i++) {
            into[i] = unsigned(stage[i]);
          }
        }
        default -> {
          for (int i = 0; i < count; i++) {
            into[i] = Double.longBitsToDouble(stage[i]);
          }
        }
      }
    }

    static double unsigned(long value) {
      // Halved without losing the bit that rounding needs.
      return value >= 0 ? value : ((value >>> 1) | (value & 1)) * 2.0;
    }
  }
}
