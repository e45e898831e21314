package dev.keepstone.segment.file;

import dev.keepstone.core.bytes.Crc32;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;

/// What the client writes when a generation stands: 128 bytes per slot, stored at once
/// (docs/spec/segment.md section 2.1).
///
/// @param slot the slot it is about
/// @param generation that was lent for it; counts from 1 per segment
/// @param step of the checkpoint, at most 2^53 - 1
/// @param stateBytes used of the state area
/// @param stateCrc CRC-32 of those
/// @param sealedAt nanoseconds since 1970
/// @param stallNanos from the call of save to the seal
public record SealRecord(
    int slot,
    long generation,
    long step,
    long stateBytes,
    int stateCrc,
    long sealedAt,
    long stallNanos) {
  /// The highest step.
  public static final long MAX_STEP = (1L << 53) - 1;

  static final int BYTES = 128;

  private static final byte[] MAGIC = "KSTNSEAL".getBytes(StandardCharsets.US_ASCII);
  private static final int CRC_AT = 64;

  public SealRecord {
    if (slot < 0
        || slot >= SegmentHead.MAX_SLOTS
        || generation <= 0
        || step < 0
        || step > MAX_STEP
        || stateBytes < 0
        || sealedAt < 0
        || stallNanos < 0) {
      throw new IllegalArgumentException(
          "seal of slot " + slot + ", generation " + generation + ", step " + step);
    }
  }

  byte[] encode() {
    ByteBuffer bytes = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes
        .put(MAGIC)
        .putLong(generation)
        .putLong(step)
        .putLong(stateBytes)
        .putInt(stateCrc)
        .putInt(slot)
        .putLong(sealedAt)
        .putLong(stallNanos)
        .putInt(CRC_AT, Crc32.of(bytes.array(), 0, CRC_AT));
    return bytes.array();
  }

  /// Empty for anything but a whole record of this slot whose state lies inside the state area.
  static Optional<SealRecord> decode(byte[] record, int slot, long stateCapacity) {
    ByteBuffer bytes = ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN);
    if (!Arrays.equals(record, 0, MAGIC.length, MAGIC, 0, MAGIC.length)
        || bytes.getInt(CRC_AT) != Crc32.of(record, 0, CRC_AT)
        || bytes.getInt(36) != slot
        || bytes.getLong(24) > stateCapacity) {
      return Optional.empty();
    }
    try {
      return Optional.of(
          new SealRecord(
              slot,
              bytes.getLong(8),
              bytes.getLong(16),
              bytes.getLong(24),
              bytes.getInt(32),
              bytes.getLong(40),
              bytes.getLong(48)));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }
}
