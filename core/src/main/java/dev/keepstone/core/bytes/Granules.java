package dev.keepstone.core.bytes;

import java.lang.foreign.MemorySegment;

/// The units of checksum of one piece: it is cut every [#BYTES] from its own start, the last one is
/// what remains, and an empty piece has none (docs/spec/store.md, section Shard).
public final class Granules {
  /// Bytes of every granule but the last of a piece.
  public static final int BYTES = 1 << 20;

  private Granules() {}

  /// How many granules a piece of that many bytes has.
  public static long count(long pieceBytes) {
    return pieceBytes / BYTES + (pieceBytes % BYTES == 0 ? 0 : 1);
  }

  /// The checksum of each granule of a whole piece.
  public static int[] of(MemorySegment piece) {
    int[] crcs = new int[Math.toIntExact(count(piece.byteSize()))];
    for (int g = 0; g < crcs.length; g++) {
      long at = (long) g * BYTES;
      crcs[g] = Crc32.of(piece.asSlice(at, Math.min(BYTES, piece.byteSize() - at)));
    }
    return crcs;
  }

  /// The checksum of a piece from those of its granules; 0 for an empty one, as CRC-32 has it.
  public static int combine(int[] crcs, long pieceBytes) {
    int all = 0;
    for (int g = 0; g < crcs.length; g++) {
      all = Crc32.combine(all, crcs[g], Math.min(BYTES, pieceBytes - (long) g * BYTES));
    }
    return all;
  }

  /// 8 lower-case hex digits per granule, in order.
  public static String hex(int[] crcs) {
    StringBuilder text = new StringBuilder(crcs.length * 8);
    for (int crc : crcs) {
      text.append(Crc32.hex(crc));
    }
    return text.toString();
  }

  /// The checksums of a text that [#hex] wrote.
  ///
  /// @throws IllegalArgumentException for any other text
  public static int[] parse(String hex) {
    if (hex.length() % 8 != 0) {
      throw new IllegalArgumentException(
          "checksums are 8 hex digits each, found " + hex.length() + " characters");
    }
    int[] crcs = new int[hex.length() / 8];
    for (int g = 0; g < crcs.length; g++) {
      crcs[g] = Crc32.parse(hex, g * 8);
    }
    return crcs;
  }
}
