package dev.keepstone.segment.file;

import dev.keepstone.core.bytes.Crc32;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;

/// What the agent tells the client through shared memory: which slot is lent, and where each
/// stands. 256 bytes in two alternating copies (docs/spec/segment.md section 2.1).
///
/// @param sequence 1, 2, …; tells which copy is newer
/// @param lentSlot the slot the client may write, or [#NONE]
/// @param lentGeneration the generation to seal in it, or 0
/// @param states of each slot of the segment
/// @param due the step that every rank of the start saves because somebody asked, or 0
public record AgentRecord(
    long sequence, int lentSlot, long lentGeneration, List<SlotState> states, long due) {
  /// No slot is lent.
  public static final int NONE = -1;

  static final int BYTES = 256;

  private static final byte[] MAGIC = "KSTNAGT1".getBytes(StandardCharsets.US_ASCII);
  private static final int STATES_AT = 32;
  private static final int DUE_AT = 160;
  private static final int CRC_AT = 168;

  public AgentRecord {
    states = List.copyOf(states);
    boolean lent = lentSlot >= 0 && lentSlot < states.size() && lentGeneration > 0;
    boolean none = lentSlot == NONE && lentGeneration == 0;
    if (sequence <= 0 || due < 0 || states.size() > SegmentHead.MAX_SLOTS || (!lent && !none)) {
      throw new IllegalArgumentException(
          "agent record "
              + sequence
              + ": slot "
              + lentSlot
              + " lent for generation "
              + lentGeneration
              + " of "
              + states.size()
              + " slots, due "
              + due);
    }
  }

  /// The first record of a segment: all slots free, none lent.
  public static AgentRecord first(int slots) {
    return new AgentRecord(1, NONE, 0, Collections.nCopies(slots, SlotState.FREE), 0);
  }

  /// The record after this one.
  public AgentRecord next(int slot, long generation, List<SlotState> slotStates, long dueStep) {
    return new AgentRecord(sequence + 1, slot, generation, slotStates, dueStep);
  }

  /// Offset of the copy that this sequence is written to.
  long at() {
    return at((int) (sequence % 2));
  }

  static long at(int copy) {
    return 4096L + 4096L * copy;
  }

  byte[] encode() {
    ByteBuffer bytes = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.put(MAGIC).putLong(sequence).putInt(lentSlot).putInt(0).putLong(lentGeneration);
    for (int slot = 0; slot < states.size(); slot++) {
      bytes.putInt(STATES_AT + 8 * slot, states.get(slot).code());
    }
    bytes.putLong(DUE_AT, due);
    bytes.putInt(CRC_AT, Crc32.of(bytes.array(), 0, CRC_AT));
    return bytes.array();
  }

  /// Empty for anything but a whole record of a segment with that many slots.
  static Optional<AgentRecord> decode(byte[] record, int slots) {
    ByteBuffer bytes = ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN);
    if (!Arrays.equals(record, 0, MAGIC.length, MAGIC, 0, MAGIC.length)
        || bytes.getInt(CRC_AT) != Crc32.of(record, 0, CRC_AT)) {
      return Optional.empty();
    }
    List<SlotState> states = new ArrayList<>(slots);
    for (int slot = 0; slot < slots; slot++) {
      Optional<SlotState> state = SlotState.of(bytes.getInt(STATES_AT + 8 * slot));
      if (state.isEmpty()) {
        return Optional.empty();
      }
      states.add(state.get());
    }
    try {
      return Optional.of(
          new AgentRecord(
              bytes.getLong(8),
              bytes.getInt(16),
              bytes.getLong(24),
              states,
              bytes.getLong(DUE_AT)));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }
}
