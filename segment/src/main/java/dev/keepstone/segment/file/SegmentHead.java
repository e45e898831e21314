package dev.keepstone.segment.file;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.segment.layout.Layout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// The head of a segment file: where its slots lie. Written once by the agent, 128 bytes at offset
/// 0 (docs/spec/segment.md section 2.1).
///
/// @param slots 2 to 16
/// @param fileBytes size of the file
/// @param layoutBytes of the JSON at [#LAYOUT_AT]
/// @param slotOffset of slot 0
/// @param slotStride from one slot to the next
/// @param stateCapacity bytes of each slot's state area
/// @param slotBytes used of each slot
/// @param layoutCrc CRC-32 of the layout's JSON
public record SegmentHead(
    int slots,
    long fileBytes,
    long layoutBytes,
    long slotOffset,
    long slotStride,
    long stateCapacity,
    long slotBytes,
    int layoutCrc) {
  /// The fewest slots: one is drained while the next is written.
  public static final int MIN_SLOTS = 2;

  /// The most: what the agent record and the seal records have room for.
  public static final int MAX_SLOTS = 16;

  static final int BYTES = 128;
  static final int VERSION = 1;
  static final long SEALS_AT = 12288;
  static final long SEAL_STRIDE = 4096;
  static final long LAYOUT_AT = 81920;

  /// Offset of the steps done.
  static final long PROGRESS_AT = 77824;

  static final long SLOT_ALIGNMENT = 2 << 20;

  /// The longest layout.
  static final int MAX_LAYOUT_BYTES = 256 << 20;

  private static final byte[] MAGIC = "KSTNSEG1".getBytes(StandardCharsets.US_ASCII);
  private static final int CRC_AT = 68;

  /// The head for a layout.
  ///
  /// @throws ArithmeticException where the file would have more bytes than fit 63 bits
  static SegmentHead of(Layout layout, byte[] json, int slots) {
    long slotOffset = alignUp(LAYOUT_AT + json.length);
    long slotStride = alignUp(layout.slotBytes());
    long constantAt = Math.addExact(slotOffset, Math.multiplyExact(slots, slotStride));
    return new SegmentHead(
        slots,
        Math.addExact(constantAt, alignUp(layout.constantBytes())),
        json.length,
        slotOffset,
        slotStride,
        layout.stateCapacity(),
        layout.slotBytes(),
        Crc32.of(json, 0, json.length));
  }

  private static long alignUp(long value) {
    return Math.multiplyExact(Math.ceilDiv(value, SLOT_ALIGNMENT), SLOT_ALIGNMENT);
  }

  /// Offset of a slot in the file.
  public long slotAt(int slot) {
    return slotOffset + slot * slotStride;
  }

  /// Offset of the constant area in the file: behind the last slot.
  public long constantAt() {
    return slotAt(slots);
  }

  static long sealAt(int slot) {
    return SEALS_AT + slot * SEAL_STRIDE;
  }

  byte[] encode() {
    ByteBuffer bytes = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes
        .put(MAGIC)
        .putInt(VERSION)
        .putInt(slots)
        .putLong(fileBytes)
        .putLong(layoutBytes)
        .putLong(slotOffset)
        .putLong(slotStride)
        .putLong(stateCapacity)
        .putLong(slotBytes)
        .putInt(layoutCrc)
        .putInt(Crc32.of(bytes.array(), 0, CRC_AT));
    return bytes.array();
  }

  /// Reads a head and proves that all it tells of lies inside the file.
  ///
  /// @param fileBytes the true size of the file
  /// @throws DamageException saying what is wrong
  static SegmentHead decode(byte[] record, long fileBytes) throws DamageException {
    ByteBuffer bytes = ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN);
    if (!Arrays.equals(record, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
      throw new DamageException("no segment: the magic is missing");
    }
    if (bytes.getInt(CRC_AT) != Crc32.of(record, 0, CRC_AT)) {
      throw new DamageException(
          "head: expected crc32 "
              + Crc32.hex(Crc32.of(record, 0, CRC_AT))
              + ", found "
              + Crc32.hex(bytes.getInt(CRC_AT)));
    }
    bytes.position(MAGIC.length);
    int version = bytes.getInt();
    if (version != VERSION) {
      throw new DamageException("segment version " + version + ", " + VERSION + " known here");
    }
    SegmentHead head =
        new SegmentHead(
            bytes.getInt(),
            bytes.getLong(),
            bytes.getLong(),
            bytes.getLong(),
            bytes.getLong(),
            bytes.getLong(),
            bytes.getLong(),
            bytes.getInt());
    head.check(fileBytes);
    return head;
  }

  private void check(long found) throws DamageException {
    if (fileBytes != found) {
      throw new DamageException("head: expected a file of " + fileBytes + " bytes, found " + found);
    }
    boolean sound =
        slots >= MIN_SLOTS
            && slots <= MAX_SLOTS
            && layoutBytes > 0
            && layoutBytes <= MAX_LAYOUT_BYTES
            && slotOffset >= LAYOUT_AT + layoutBytes
            && slotOffset <= fileBytes
            && slotOffset % SLOT_ALIGNMENT == 0
            && slotStride > 0
            && slotStride % SLOT_ALIGNMENT == 0
            && slotBytes >= stateCapacity
            && stateCapacity > 0
            && slotBytes <= slotStride
            // Divided, so that no product overflows.
            && slotStride <= (fileBytes - slotOffset) / slots;
    if (!sound) {
      throw new DamageException("head: sizes do not fit the file: " + this);
    }
  }
}
