package dev.keepstone.segment.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.segment.SpecText;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The records' bytes against the tables of docs/spec/segment.md.
class RecordBytesTest {
  private static final SegmentHead HEAD =
      new SegmentHead(2, 6 << 20, 1000, 2 << 20, 2 << 20, 65536, 73728, 0x11223344);
  private static final AgentRecord AGENT =
      new AgentRecord(7, 1, 5, List.of(SlotState.KEPT, SlotState.LENT, SlotState.DRAINING), 40);
  private static final SealRecord SEAL =
      new SealRecord(1, 5, 40, 120, 0x55667788, 1_795_000_000_123_456_789L, 4_100_000);

  private static ByteBuffer littleEndian(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void check(Map<String, Integer> table, byte[] record, Map<String, Object> fields) {
    assertThat(fields.keySet()).containsExactlyInAnyOrderElementsOf(table.keySet());
    byte[] expected = new byte[record.length];
    table.forEach((field, at) -> {
      switch (fields.get(field)) {
        case String text ->
            littleEndian(expected).put(at, text.getBytes(StandardCharsets.US_ASCII));
        case Integer value -> littleEndian(expected).putInt(at, value);
        case Long value -> littleEndian(expected).putLong(at, value);
        case null, default -> throw new AssertionError(field);
      }
    });
    assertThat(record).isEqualTo(expected);
  }

  @Test
  void theHeadIsWhatTheSpecSays() throws DamageException {
    byte[] record = HEAD.encode();
    assertThat(record).hasSize(128);
    check(
        SpecText.offsets("segment.md", "head"),
        record,
        Map.ofEntries(
            Map.entry("magic `KSTNSEG1`", "KSTNSEG1"),
            Map.entry("version = 1", 1),
            Map.entry("slots", 2),
            Map.entry("file_bytes", 6L << 20),
            Map.entry("layout_bytes", 1000L),
            Map.entry("slot_offset", 2L << 20),
            Map.entry("slot_stride", 2L << 20),
            Map.entry("state_capacity", 65536L),
            Map.entry("slot_bytes (used of each slot)", 73728L),
            Map.entry("layout_crc32", 0x11223344),
            Map.entry("crc32 of bytes 0..68", Crc32.of(record, 0, 68))));
    assertThat(SegmentHead.decode(record, 6 << 20)).isEqualTo(HEAD);
  }

  @Test
  void theAgentRecordIsWhatTheSpecSays() {
    byte[] record = AGENT.encode();
    assertThat(record).hasSize(256);
    Map<String, Object> fields = new HashMap<>();
    fields.put("magic `KSTNAGT1`", "KSTNAGT1");
    fields.put("sequence (1, 2, …; copy = sequence mod 2)", 7L);
    fields.put("lent slot, or -1", 1);
    fields.put("reserved 0", 0);
    fields.put("lent generation, or 0", 5L);
    // State 4 of slot 0; those of slots 1 and 2 follow below.
    Map<String, Integer> table = SpecText.offsets("segment.md", "agent record");
    String states =
        table.keySet().stream()
            .filter(field -> field.startsWith("slot i:"))
            .findAny()
            .orElseThrow();
    assertThat(states).contains("0 FREE", "1 LENT", "2 SEALED", "3 DRAINING", "4 KEPT");
    fields.put(states, 4L);
    fields.put("due step, or 0", 40L);
    fields.put("crc32 of bytes 0..168", Crc32.of(record, 0, 168));
    assertThat(littleEndian(record).getLong(40)).isEqualTo(1);
    assertThat(littleEndian(record).getLong(48)).isEqualTo(3);
    check(table, littleEndian(record.clone()).putLong(40, 0).putLong(48, 0).array(), fields);
    assertThat(AgentRecord.decode(record, 3)).hasValue(AGENT);
  }

  @Test
  void theSealRecordIsWhatTheSpecSays() {
    byte[] record = SEAL.encode();
    assertThat(record).hasSize(128);
    check(
        // Two rows are called "reserved 0"; both stay zero.
        SpecText.offsets("segment.md", "seal record"),
        record,
        Map.ofEntries(
            Map.entry("magic `KSTNSEAL`", "KSTNSEAL"),
            Map.entry("generation", 5L),
            Map.entry("step", 40L),
            Map.entry("state_bytes (used of the state area)", 120L),
            Map.entry("state_crc32", 0x55667788),
            Map.entry("slot", 1),
            Map.entry("sealed at", 1_795_000_000_123_456_789L),
            Map.entry("stall_ns (call to seal)", 4_100_000L),
            Map.entry("reserved 0", 0),
            Map.entry("crc32 of bytes 0..64", Crc32.of(record, 0, 64))));
    assertThat(SealRecord.decode(record, 1, 65536)).hasValue(SEAL);
  }

  @Test
  void anAgentRecordTornAtAnyByteIsTheOldOneTheNewOneOrNone() {
    AgentRecord next = AGENT.next(AgentRecord.NONE, 0, AGENT.states(), 48);
    assertTorn(AGENT.encode(), next.encode(), bytes -> AgentRecord.decode(bytes, 3), AGENT, next);
  }

  @Test
  void aSealTornAtAnyByteIsTheOldOneTheNewOneOrNone() {
    SealRecord next = new SealRecord(1, 7, 60, 130, 3, 1_795_000_009_000_000_000L, 3_000_000);
    assertTorn(
        SEAL.encode(), next.encode(), bytes -> SealRecord.decode(bytes, 1, 65536), SEAL, next);
    assertTorn(
        new byte[128], SEAL.encode(), bytes -> SealRecord.decode(bytes, 1, 65536), SEAL, SEAL);
  }

  private static <R> void assertTorn(
      byte[] old, byte[] young, Function<byte[], Optional<R>> decode, R oldRecord, R youngRecord) {
    Random order = new Random(7);
    for (int cut = 0; cut <= old.length; cut++) {
      byte[] front = young.clone();
      System.arraycopy(old, cut, front, cut, old.length - cut);
      byte[] back = old.clone();
      System.arraycopy(young, cut, back, cut, old.length - cut);
      // Stores may also arrive in any order, eight bytes at a time.
      byte[] mixed = old.clone();
      for (int word = 0; word < old.length; word += 8) {
        if (order.nextBoolean()) {
          System.arraycopy(young, word, mixed, word, 8);
        }
      }
      for (byte[] torn : List.of(front, back, mixed)) {
        assertThat(decode.apply(torn))
            .satisfiesAnyOf(
                found -> assertThat(found).isEmpty(),
                found -> assertThat(found).hasValue(oldRecord),
                found -> assertThat(found).hasValue(youngRecord));
      }
    }
  }

  @Test
  void noFlippedBitOfAHeadIsOverlooked() {
    byte[] record = HEAD.encode();
    for (int bit = 0; bit < 8 * 72; bit++) {
      byte[] flipped = record.clone();
      flipped[bit / 8] ^= (byte) (1 << bit % 8);
      assertThatThrownBy(() -> SegmentHead.decode(flipped, 6 << 20))
          .isInstanceOf(DamageException.class);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "slots 1",
        "slots 17",
        "slots -1",
        "layout 0",
        "layout -1",
        "layout 300000000",
        "layout 2097152",
        "offset 0",
        "offset 4096",
        "offset 8388608",
        "offset -2097152",
        "stride 0",
        "stride 4096",
        "stride 4194304",
        "stride -2097152",
        "stride 4611686018427387904",
        "capacity 0",
        "capacity 80000",
        "used 4194304",
        "used -1",
        "file 6291455",
        "file 8388608"
      })
  void aHeadWithARightChecksumAndLyingSizesIsRefused(String lie) {
    String field = lie.substring(0, lie.indexOf(' '));
    long value = Long.parseLong(lie.substring(lie.indexOf(' ') + 1));
    SegmentHead lying =
        new SegmentHead(
            field.equals("slots") ? (int) value : HEAD.slots(),
            field.equals("file") ? value : HEAD.fileBytes(),
            field.equals("layout") ? value : HEAD.layoutBytes(),
            field.equals("offset") ? value : HEAD.slotOffset(),
            field.equals("stride") ? value : HEAD.slotStride(),
            field.equals("capacity") ? value : HEAD.stateCapacity(),
            field.equals("used") ? value : HEAD.slotBytes(),
            HEAD.layoutCrc());
    assertThatThrownBy(() -> SegmentHead.decode(lying.encode(), 6 << 20))
        .isInstanceOf(DamageException.class);
  }

  @Test
  void aSealOfAnotherSlotOrBeyondTheStateAreaIsNone() {
    assertThat(SealRecord.decode(SEAL.encode(), 0, 65536)).isEmpty();
    assertThat(SealRecord.decode(SEAL.encode(), 1, 119)).isEmpty();
  }

  @Test
  void anAgentRecordThatLendsASlotTheSegmentLacksIsNone() {
    assertThat(AgentRecord.decode(AGENT.encode(), 1)).isEmpty();
  }
}
