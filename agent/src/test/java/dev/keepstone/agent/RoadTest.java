package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.file.SlotState;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.start.Starts;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// The road from a registered layout to a committed checkpoint, through the socket and the segment.
final class RoadTest {
  private static final String CLIENT = "00112233445566ff";
  private static final List<RegisteredPiece> LAYOUT =
      RawTrainer.floats("model", 300_000, "a", "b", "c");
  private static final long BYTES = 300_000 * 4;

  @TempDir Path store;
  private Nodes node;

  @BeforeEach
  void begin() throws IOException {
    node = new Nodes(1);
  }

  @AfterEach
  void end() throws Exception {
    node.close();
  }

  @Test
  void aSavedStepIsCommittedWithTheBytesThatWereSealed() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      Answer.Start start = trainer.start(store, "t1", 3);
      assertThat(start.start()).isEqualTo(1);
      assertThat(start.parent()).isNull();
      assertThat(start.hasCheckpoints()).isFalse();
      trainer.register(LAYOUT, null);
      SealRecord seal = trainer.seal(40);
      assertThat(trainer.announce(seal).id()).isEqualTo("1-40");
      assertThat(trainer.await("1-40")).isInstanceOf(Ended.Committed.class);
    }
    Stores.requireWhole(store, "1-40");
    assertThat(store.resolve("run/checkpoints/1-40"))
        .isDirectoryContaining("glob:**/model.safetensors.index.json")
        .isDirectoryContaining("glob:**/config.json");
  }

  @Test
  void whatTheTrainerOverwritesAfterTheSaveIsNotWhatWasSaved() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 100);
      // So slow that drains are still under way while later steps are sealed.
      trainer.register(LAYOUT, 8L << 20);
      for (long step = 1; step <= 6; step++) {
        trainer.save(step);
      }
      trainer.ask(new Request.Wait(null, 60_000));
    }
    for (long step = 1; step <= 6; step++) {
      Stores.requireWhole(store, "1-" + step);
    }
  }

  @Test
  void aStepIsSavedOnceInAStart() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, null);
      trainer.save(5);
      trainer.await("1-5");
      assertThatThrownBy(() -> trainer.save(5))
          .isInstanceOf(KeepstoneException.Refused.class)
          .hasMessageContaining("step 5 of this start was tried before: it is committed");
      trainer.save(6);
      assertThat(trainer.await("1-6")).isInstanceOf(Ended.Committed.class);
    }
  }

  @Test
  void aSealOfAnotherStepIsNamedAndItsSlotIsLentAgain() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, null);
      SealRecord seal = trainer.seal(5);
      assertThatThrownBy(
              () -> trainer.ask(new Request.Sealed(1, seal.slot(), seal.generation(), 6)))
          .isInstanceOf(KeepstoneException.Integrity.class)
          .hasMessageContaining("expected the seal of generation 1, step 6");
      assertThatThrownBy(() -> trainer.announce(seal))
          .isInstanceOf(KeepstoneException.Refused.class)
          .hasMessageContaining("was not lent");
      trainer.save(7);
      assertThat(trainer.await("1-7")).isInstanceOf(Ended.Committed.class);
    }
  }

  @Test
  void aTrainerThatDiesRightAfterTheSealLosesNothing() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, 8L << 20);
      trainer.save(10);
      // Sealed, and dead before it could say so.
      trainer.seal(20);
      trainer.die();
    }
    try (RawTrainer next = node.trainer("aaaabbbbccccdddd")) {
      Answer.Start start = next.start(store, "t2", 3);
      assertThat(start.parent()).isEqualTo("1-20");
      Stores.requireWhole(store, "1-20");
      requireFromMemory(next.want("1-20"), 20);
      next.ask(new Request.Done());
    }
  }

  @Test
  void aHalfWrittenSlotOfADeadTrainerIsDropped() throws Exception {
    Agent agent = node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, null);
      trainer.save(10);
      trainer.await("1-10");
      trainer.segment().slot(1).asSlice(trainer.registered().at().getFirst(), 100).fill((byte) 7);
      trainer.die();
    }
    agent.watch().round();
    try (RawTrainer next = node.trainer("aaaabbbbccccdddd")) {
      assertThat(next.start(store, "t2", 3).parent()).isEqualTo("1-10");
    }
  }

  @Test
  void anAgentThatEndsAtOnceLeavesSealedGenerationsToTheNext() throws Exception {
    Agent first = node.start();
    RawTrainer trainer = node.trainer(CLIENT);
    trainer.start(store, "t1", 3);
    trainer.register(LAYOUT, 1L << 20);
    trainer.save(10);
    trainer.save(20);
    first.close();
    assertThat(store.resolve("run/manifests/1-20.json")).doesNotExist();
    node.start();
    trainer.greet();
    assertThat(trainer.await("1-20")).isInstanceOf(Ended.Committed.class);
    trainer.save(30);
    assertThat(trainer.await("1-30")).isInstanceOf(Ended.Committed.class);
    trainer.close();
    Stores.requireWhole(store, "1-20");
    Stores.requireWhole(store, "1-30");
  }

  @Test
  void aSealNobodyWasToldOfIsLearntFromTheNextGreeting() throws Exception {
    Agent first = node.start();
    RawTrainer trainer = node.trainer(CLIENT);
    trainer.start(store, "t1", 3);
    trainer.register(LAYOUT, null);
    trainer.seal(10);
    first.close();
    node.start();
    trainer.greet();
    assertThat(trainer.await("1-10")).isInstanceOf(Ended.Committed.class);
    trainer.close();
    Stores.requireWhole(store, "1-10");
  }

  @Test
  void aHeaderHitInSharedMemoryFailsThatSaveAloneAndIsRepaired() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 9);
      trainer.register(LAYOUT, null);
      SealRecord seal = trainer.seal(1);
      trainer.segment().shardImage(seal.slot(), 0).set(ValueLayout.JAVA_BYTE, 17, (byte) 'x');
      trainer.announce(seal);
      assertThat(trainer.await("1-1"))
          .isInstanceOfSatisfying(
              Ended.Failed.class,
              failed ->
                  assertThat(failed.error())
                      .isInstanceOf(KeepstoneException.Integrity.class)
                      .hasMessageContaining("overwritten in shared memory at byte 17"));
      for (long step = 2; step <= 4; step++) {
        trainer.save(step);
        assertThat(trainer.await("1-" + step)).isInstanceOf(Ended.Committed.class);
      }
    }
    Stores.requireWhole(store, "1-2");
    Stores.requireWhole(store, "1-3");
  }

  /// The agent died between announcing a start and deciding it. What a dead trainer left is
  /// committed, but while that start is undecided nobody can say so; the start must not wait for
  /// that.
  @Test
  @Timeout(30)
  void aStartThatWasAnnouncedAndNotDecidedDoesNotWaitForItself() throws Exception {
    Agent first = node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 9);
      trainer.register(LAYOUT, null);
      trainer.save(1);
      trainer.await("1-1");
    }
    first.close();
    Starts starts = new Starts(Stores.run(store), Nodes.CLOCK, id -> Optional.empty());
    assertThat(starts.join("t2", 1, Start.Wanted.parse("latest")).number()).isEqualTo(2);
    node.start();
    try (RawTrainer next = node.trainer("aaaabbbbccccdddd")) {
      Answer.Start joined = next.start(store, "t2", 9);
      assertThat(joined.start()).isEqualTo(2);
      assertThat(joined.parent()).isEqualTo("1-1");
    }
  }

  @Test
  void anAgentTellsWhatEndedBeforeItWasThere() throws Exception {
    Agent first = node.start();
    RawTrainer trainer = node.trainer(CLIENT);
    trainer.start(store, "t1", 9);
    trainer.register(LAYOUT, null);
    for (long step = 1; step <= 3; step++) {
      trainer.save(step);
      trainer.await("1-" + step);
    }
    trainer.ask(new Request.Refuse(4, "skipped", "no time"));
    first.close();
    node.start();
    trainer.greet();
    assertThat(trainer.await("1-1")).isInstanceOf(Ended.Committed.class);
    assertThat(trainer.await("1-4"))
        .isInstanceOfSatisfying(
            Ended.Failed.class,
            failed -> assertThat(failed.error()).hasMessageContaining("skipped: no time"));
    assertThatThrownBy(() -> trainer.await("1-5"))
        .isInstanceOf(KeepstoneException.NotFound.class)
        .hasMessageContaining("nothing was saved as 1-5");
    trainer.close();
  }

  @Test
  void aNewLayoutReplacesTheOldSegmentOnceThatIsDurable() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      Answer.Register first = trainer.register(LAYOUT, 4L << 20);
      trainer.save(1);
      Answer.Register second =
          trainer.register(RawTrainer.floats("optimizer", 500_000, "m", "v"), 4L << 20);
      assertThat(second.layout()).isEqualTo(2);
      trainer.save(2);
      trainer.ask(new Request.Wait(null, 60_000));
      assertThat(Path.of(first.segment())).doesNotExist();
      assertThat(Path.of(second.segment())).exists();
    }
    Stores.requireWhole(store, "1-1");
    Stores.requireWhole(store, "1-2");
  }

  @Test
  void aBudgetThatCannotHoldTwoSlotsIsRefusedWithBothNumbers() throws Exception {
    node.start(4L << 20, Duration.ofSeconds(90), Disk.local());
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      assertThatThrownBy(() -> trainer.register(LAYOUT, null))
          .isInstanceOf(KeepstoneException.Refused.class)
          .hasMessageContaining("the budget is 4194304")
          .hasMessageMatching("(?s).*two slots need [0-9]+ bytes.*");
    }
  }

  @Test
  void aSecondLayoutThatDoesNotFitBesideTheFirstWaitsForItsDrain() throws Exception {
    long budget = 12L << 20;
    node.start(budget, Duration.ofSeconds(90), Disk.local());
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, 2L << 20);
      trainer.save(1);
      assertThatThrownBy(() -> trainer.register(LAYOUT, null, 2L << 20, 1))
          .isInstanceOf(KeepstoneException.Busy.class);
      trainer.register(LAYOUT, null, 2L << 20, 60_000);
      trainer.save(2);
      assertThat(trainer.await("1-2")).isInstanceOf(Ended.Committed.class);
    }
    Stores.requireWhole(store, "1-1");
  }

  @Test
  void closeFreesTheSegmentOnceItIsDurable() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      Answer.Register registered = trainer.register(LAYOUT, 8L << 20);
      trainer.save(1);
      trainer.ask(new Request.Close());
      assertThat(trainer.await("1-1")).isInstanceOf(Ended.Committed.class);
      trainer.ask(new Request.Status());
      assertThat(Path.of(registered.segment())).doesNotExist();
    }
  }

  @Test
  void theNewestSealedGenerationStaysKept() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, null);
      trainer.save(1);
      trainer.await("1-1");
      assertThat(trainer.segment().agentRecord().orElseThrow().states())
          .containsExactly(SlotState.KEPT, SlotState.LENT);
    }
  }

  @Test
  void onlyAsManyCheckpointsStayAsThePolicyKeeps() throws Exception {
    Agent agent = node.start(256L << 20, Duration.ofMillis(400), Disk.local());
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 2);
      trainer.register(LAYOUT, null);
      for (long step = 1; step <= 5; step++) {
        trainer.save(step);
      }
      trainer.ask(new Request.Wait(null, 60_000));
      LiveRun run = agent.run(new RunKey(store, "run"));
      assertThat(agent.roster().await(() -> !run.deleting(), 20_000)).isTrue();
    }
    assertThat(Stores.run(store).look().visible())
        .containsExactly(new CheckpointId(1, 4), new CheckpointId(1, 5));
    assertThat(store.resolve("run/checkpoints/1-1")).doesNotExist();
    Stores.requireWhole(store, "1-5");
  }

  @Test
  void aCheckpointThatIsNotInMemoryComesFromTheStoreChecked() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, null);
      for (long step = 1; step <= 3; step++) {
        trainer.save(step);
      }
      trainer.ask(new Request.Wait(null, 60_000));
      Answer.Want want = trainer.want("1-1");
      requireFromStore(want, trainer.stream(want), 1);
      trainer.ask(new Request.Done());
      assertThat(store.resolve("run/holds")).isEmptyDirectory();
      assertThat(node.directory.path()).isDirectoryNotContaining("glob:**.window");
    }
  }

  @Test
  void aFlippedByteIsNamedWhereItIsRestored() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, null);
      for (long step = 1; step <= 3; step++) {
        trainer.save(step);
      }
      trainer.ask(new Request.Wait(null, 60_000));
      flip(Stores.run(store), new CheckpointId(1, 1), 500_000);
      trainer.want("1-1");
      assertThatThrownBy(
              () -> {
                while (!trainer.ask(new Request.Next()).end()) {
                  // Until the chunk that holds the byte.
                }
              })
          .isInstanceOf(KeepstoneException.Integrity.class)
          .hasMessageContaining("in tensor a");
      trainer.ask(new Request.Done());
      trainer.save(4);
      assertThat(trainer.await("1-4")).isInstanceOf(Ended.Committed.class);
    }
  }

  private void flip(Run run, CheckpointId id, int at) throws IOException {
    Part part = run.parts(run.manifest(id)).getFirst();
    Path file = store.resolve("run/checkpoints/" + id + "/" + part.shards().getFirst().file());
    byte[] bytes = Files.readAllBytes(file);
    bytes[at] ^= 1;
    Files.write(file, bytes);
  }

  private static void requireFromStore(Answer.Want want, byte[] stream, long step) {
    assertThat(want.pieces()).hasSize(LAYOUT.size()).allMatch(piece -> piece.source() == null);
    for (Answer.SavedPiece piece : want.pieces()) {
      int at = (int) piece.at();
      requireBytes(piece, Arrays.copyOfRange(stream, at, (int) (at + BYTES)), step);
    }
  }

  private static void requireFromMemory(Answer.Want want, long step) throws IOException {
    assertThat(want.pieces()).hasSize(LAYOUT.size());
    assertThat(want.window()).isNull();
    for (Answer.SavedPiece piece : want.pieces()) {
      requireBytes(piece, RawTrainer.inMemory(want, piece), step);
    }
  }

  private static void requireBytes(Answer.SavedPiece piece, byte[] found, long step) {
    String name = LAYOUT.get(piece.tensor()).piece().tensor().name();
    assertThat(MemorySegment.ofArray(found).mismatch(RawTrainer.expected(name, BYTES, step)))
        .isEqualTo(-1);
  }
}
