package dev.keepstone.segment.file;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.SpecText;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.segment.layout.LayoutCodec;
import dev.keepstone.segment.layout.LayoutRequest;
import dev.keepstone.segment.layout.RegisteredPiece;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SegmentFileTest {
  private static final Layout LAYOUT =
      LayoutCodec.read(
          JsonReader.readObject(
              String.valueOf(SpecText.examples("segment.md").get("layout")).getBytes(UTF_8)));

  private Path path;

  @BeforeEach
  void place(@TempDir Path directory) {
    path = directory.resolve("00112233445566ff.1.segment");
  }

  @Test
  void aNewSegmentIsTheOneThatIsOpened() throws IOException {
    try (SegmentFile made = SegmentFile.create(path, LAYOUT, 3);
        SegmentFile opened = SegmentFile.open(path)) {
      assertThat(opened.layout()).isEqualTo(LAYOUT);
      assertThat(opened.head()).isEqualTo(made.head());
      assertThat(Files.size(path)).isEqualTo(made.head().fileBytes()).isEqualTo(8L << 20);
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
          .isEqualTo("rw-------");
      assertThat(opened.agentRecord()).hasValue(AgentRecord.first(3));
      assertThat(opened.seal(0)).isEmpty();
    }
  }

  @Test
  void theHeaderOfEachShardLiesInEverySlotAndNothingElseDoes() {
    try (SegmentFile segment = SegmentFile.create(path, LAYOUT, 2)) {
      for (int slot = 0; slot < 2; slot++) {
        byte[] image = segment.shardImage(slot, 0).toArray(ValueLayout.JAVA_BYTE);
        assertThat(image).hasSize(4104).startsWith(LAYOUT.header(0)).endsWith(new byte[8]);
        assertThat(segment.stateArea(slot).toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
      }
    }
  }

  @Test
  void whatOneSideWritesTheOtherReads() {
    try (SegmentFile agent = SegmentFile.create(path, LAYOUT, 2);
        SegmentFile client = SegmentFile.open(path)) {
      client.populate();
      AgentRecord lent =
          AgentRecord.first(2).next(1, 1, List.of(SlotState.FREE, SlotState.LENT), 0);
      agent.write(lent);
      assertThat(client.agentRecord()).hasValue(lent);
      client.shardImage(1, 0).set(ValueLayout.JAVA_BYTE, 4096, (byte) 42);
      SealRecord seal = new SealRecord(1, 1, 40, 0, 0, 1, 1);
      client.write(seal);
      assertThat(agent.seal(1)).hasValue(seal);
      assertThat(agent.shardImage(1, 0).get(ValueLayout.JAVA_BYTE, 4096)).isEqualTo((byte) 42);
    }
  }

  @Test
  void theAgentSeesHowFarTheTrainerIsAndTheTrainerWhatIsDue() throws IOException {
    try (SegmentFile agent = SegmentFile.create(path, LAYOUT, 16);
        SegmentFile client = SegmentFile.open(path)) {
      assertThat(agent.progress()).isZero();
      client.progress(41);
      assertThat(agent.progress()).isEqualTo(41);
      // The last seal's place ends where the word of progress begins.
      client.write(new SealRecord(15, 1, 41, 0, 0, 1, 1));
      assertThat(agent.progress()).isEqualTo(41);
      assertThat(agent.layout()).isEqualTo(LAYOUT);
      agent.write(
          AgentRecord.first(16)
              .next(AgentRecord.NONE, 0, Collections.nCopies(16, SlotState.FREE), 48));
      assertThat(client.agentRecord().orElseThrow().due()).isEqualTo(48);
    }
  }

  @Test
  void anAgentThatDiesWhileWritingItsRecordLeavesTheOneBefore() throws IOException {
    try (SegmentFile agent = SegmentFile.create(path, LAYOUT, 2)) {
      AgentRecord first = AgentRecord.first(2);
      AgentRecord second = first.next(0, 1, List.of(SlotState.LENT, SlotState.FREE), 0);
      agent.write(second);
      try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
        file.seek(second.at() + 20);
        file.writeInt(99);
      }
      assertThat(agent.agentRecord()).hasValue(first);
    }
  }

  @Test
  void slotsThatTheSegmentLacksAreNotHandedOut() {
    try (SegmentFile segment = SegmentFile.create(path, LAYOUT, 2)) {
      assertThatThrownBy(() -> segment.slot(2)).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> segment.slot(-1)).isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 0, 1, 17})
  void anImpossibleNumberOfSlotsIsRefused(int slots) {
    assertThatThrownBy(() -> SegmentFile.create(path, LAYOUT, slots))
        .isInstanceOf(KeepstoneException.Refused.class);
    assertThat(path).doesNotExist();
  }

  @Test
  void aSegmentThatMemoryCannotHoldLeavesNothing() throws IOException {
    Path memory = Path.of("/dev/shm");
    Path taken = memory.resolve("keepstone-segment-file-test-" + ProcessHandle.current().pid());
    long more = Files.getFileStore(memory).getTotalSpace();
    Piece piece = Piece.whole(new Tensor("w", Dtype.U8, Shape.of(more)));
    LayoutRequest request =
        new LayoutRequest(
            List.of(new RegisteredPiece("model", piece)),
            LAYOUT.state(),
            0,
            LAYOUT.configs(),
            LAYOUT.provenance());
    Layout huge = Layout.plan(LAYOUT.owner(), request);
    assertThatThrownBy(() -> SegmentFile.create(taken, huge, 2))
        .isInstanceOf(KeepstoneException.NoSpace.class);
    assertThat(taken).doesNotExist();
  }

  @Test
  void aFileCutShortAtAnyPlaceIsRefused() throws IOException {
    SegmentFile.create(path, LAYOUT, 2).close();
    for (long size : new long[] {6291455, 4 << 20, 2 << 20, 81921, 81920, 8192, 128, 1, 0}) {
      try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
        file.setLength(size);
      }
      assertThatThrownBy(() -> SegmentFile.open(path))
          .isInstanceOf(KeepstoneException.Integrity.class)
          .hasMessageContaining(path.toString());
    }
  }

  @Test
  void aFlippedBitInTheLayoutIsNamed() throws IOException {
    SegmentFile.create(path, LAYOUT, 2).close();
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.seek(81920 + 30);
      int old = file.read();
      file.seek(81920 + 30);
      file.write(old ^ 1);
    }
    assertThatThrownBy(() -> SegmentFile.open(path))
        .isInstanceOf(KeepstoneException.Integrity.class)
        .hasMessageContaining("layout: expected crc32");
  }

  @Test
  void aLayoutWhoseSlotsAreNotThoseOfTheHeadIsRefused() throws IOException {
    SegmentHead head;
    try (SegmentFile segment = SegmentFile.create(path, LAYOUT, 2)) {
      head = segment.head();
    }
    SegmentHead lying =
        new SegmentHead(
            head.slots(),
            head.fileBytes(),
            head.layoutBytes(),
            head.slotOffset(),
            head.slotStride(),
            head.stateCapacity(),
            head.slotBytes() + 4096,
            head.layoutCrc());
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.write(lying.encode());
    }
    assertThatThrownBy(() -> SegmentFile.open(path))
        .isInstanceOf(KeepstoneException.Integrity.class)
        .hasMessageContaining("expected slots of");
  }

  @Test
  void aLinkIsNotFollowed(@TempDir Path other) throws IOException {
    SegmentFile.create(other.resolve("s"), LAYOUT, 2).close();
    Files.createSymbolicLink(path, other.resolve("s"));
    assertThatThrownBy(() -> SegmentFile.open(path)).isInstanceOf(KeepstoneException.Refused.class);
  }

  @Test
  void whatIsUnmappedIsNotReadAgain() {
    SegmentFile segment = SegmentFile.create(path, LAYOUT, 2);
    MemorySegment slot = segment.slot(0);
    segment.close();
    assertThatThrownBy(() -> slot.get(ValueLayout.JAVA_BYTE, 0))
        .isInstanceOf(IllegalStateException.class);
  }
}
