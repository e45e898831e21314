package dev.keepstone.core.bytes;

import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import java.util.zip.CRC32;

/// CRC-32 with zlib's polynomial, the checksum of every stored byte: as fast as CRC-32C in the JDK,
/// and what plain Python can compute at memory speed.
///
/// A checksum is the `int` of its 32 bits; as text it is always 8 lower-case hex digits.
public final class Crc32 {
  /// Bytes handed to the JDK at once: its buffers end at 2 GiB, and its intrinsic is at full speed
  /// long before this.
  private static final long REQUEST_BYTES = 8L << 20;

  /// The polynomial, bit-reversed: bit 31 is the coefficient of x^0.
  private static final int POLYNOMIAL = 0xEDB88320;

  private static final int ONE = 1 << 31;

  private static final int[] X_TO_POWER_OF_TWO = powersOfX();

  private static final HexFormat HEX = HexFormat.of();

  private Crc32() {}

  /// The checksum of all bytes of a segment, on or off the heap.
  public static int of(MemorySegment bytes) {
    CRC32 crc = new CRC32();
    for (long at = 0; at < bytes.byteSize(); at += REQUEST_BYTES) {
      crc.update(bytes.asSlice(at, Math.min(REQUEST_BYTES, bytes.byteSize() - at)).asByteBuffer());
    }
    return (int) crc.getValue();
  }

  /// The checksum of `length` bytes of an array from `offset` on.
  public static int of(byte[] bytes, int offset, int length) {
    CRC32 crc = new CRC32();
    crc.update(bytes, offset, length);
    return (int) crc.getValue();
  }

  /// The checksum of A followed by B, from theirs, without their bytes.
  ///
  /// A's remainder is multiplied by x^(8 · lengthB): that is what B's bytes would have shifted it
  /// by.
  ///
  /// @param lengthB bytes of B, ≥ 0
  public static int combine(int crcA, int crcB, long lengthB) {
    int shift = ONE;
    // Bit k of the length stands for 2^k bytes, that is x to the power 2^(k + 3); exponents repeat
    // modulo 2^32 - 1, so powers of two repeat every 32.
    for (int k = 0; lengthB >> k != 0; k++) {
      if ((lengthB >> k & 1) != 0) {
        shift = multiply(X_TO_POWER_OF_TWO[(k + 3) & 31], shift);
      }
    }
    return multiply(shift, crcA) ^ crcB;
  }

  /// 8 lower-case hex digits.
  public static String hex(int crc) {
    return HEX.toHexDigits(crc);
  }

  /// The checksum of 8 lower-case hex digits.
  ///
  /// @throws IllegalArgumentException for any other text
  public static int parse(String hex) {
    if (hex.length() != 8) {
      throw new IllegalArgumentException(
          "a CRC-32 is 8 lower-case hex digits, found " + hex.length() + " characters");
    }
    return parse(hex, 0);
  }

  /// The checksum of the 8 lower-case hex digits from `from` on.
  static int parse(String hex, int from) {
    int crc = 0;
    for (int i = from; i < from + 8; i++) {
      char c = hex.charAt(i);
      int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (digit < 0) {
        throw new IllegalArgumentException(
            "a CRC-32 is 8 lower-case hex digits, found \"" + hex.substring(from, from + 8) + "\"");
      }
      crc = crc << 4 | digit;
    }
    return crc;
  }

  /// The product of two polynomials modulo the CRC's, in its bit-reversed form.
  private static int multiply(int a, int b) {
    int product = 0;
    for (int bit = 31; bit >= 0; bit--) {
      if ((a >>> bit & 1) != 0) {
        product ^= b;
      }
      b = (b & 1) == 0 ? b >>> 1 : b >>> 1 ^ POLYNOMIAL;
    }
    return product;
  }

  private static int[] powersOfX() {
    int[] powers = new int[32];
    powers[0] = ONE >>> 1;
    for (int k = 1; k < powers.length; k++) {
      powers[k] = multiply(powers[k - 1], powers[k - 1]);
    }
    return powers;
  }
}
