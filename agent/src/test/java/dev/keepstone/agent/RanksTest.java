package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.StoreClock;
import dev.keepstone.store.verify.Verify;
import dev.keepstone.testkit.FaultyDisk;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// Several ranks, of one agent and of several over one store, make one checkpoint or none.
@Timeout(60)
final class RanksTest {
  private static final long ROWS = 1000;
  private static final long LONG_MS = 600_000;

  /// Twenty seconds a second.
  private static final StoreClock FAST =
      StoreClock.of(
          Nodes.CLOCK,
          () -> 20 * Nodes.CLOCK.nanos(),
          time -> Nodes.CLOCK.pause(time.dividedBy(20)));

  @TempDir Path store;
  private Nodes here;
  private Nodes there;
  private final List<RawTrainer> trainers = new ArrayList<>();

  @BeforeEach
  void begin() throws IOException {
    here = new Nodes(21);
    there = new Nodes(22);
  }

  @AfterEach
  void end() throws Exception {
    for (RawTrainer trainer : trainers) {
      trainer.close();
    }
    here.close();
    there.close();
  }

  private RawTrainer rank(Nodes node, int rank, int world, long commitTimeoutMs)
      throws IOException {
    RawTrainer trainer = node.trainer("00112233445566%02x".formatted(rank));
    trainers.add(trainer);
    trainer.start(store, "t1", rank, world, commitTimeoutMs);
    trainer.register(layout(rank, world), null);
    return trainer;
  }

  /// Rows of one tensor, and one tensor of its own.
  private static List<RegisteredPiece> layout(int rank, int world) {
    Tensor spread = new Tensor("spread", Dtype.F32, new Shape(List.of(ROWS * world, 8L)));
    Slice rows = new Slice(List.of(ROWS * rank, 0L), new Shape(List.of(ROWS, 8L)));
    Tensor own = new Tensor("own" + rank, Dtype.F32, new Shape(List.of(100L)));
    return List.of(
        new RegisteredPiece("model", new Piece(spread, rows)),
        new RegisteredPiece("optimizer", Piece.whole(own)));
  }

  private void requireWhole(String text) throws IOException {
    Run run = Stores.run(store);
    CheckpointId id = CheckpointId.parse(text);
    assertThat(Verify.deep(run, id, bytes -> {}).problems()).isEmpty();
    assertThat(run.look().latest()).contains(id);
    Stores.requireWhole(store, text);
  }

  private static void requireFailed(Ended ended, String why) {
    assertThat(ended)
        .isInstanceOfSatisfying(
            Ended.Failed.class, failed -> assertThat(failed.error().what()).contains(why));
  }

  @Test
  void fourRanksOfOneAgentBecomeOneCheckpoint() throws Exception {
    here.start();
    List<RawTrainer> ranks = new ArrayList<>();
    for (int rank = 0; rank < 4; rank++) {
      ranks.add(rank(here, rank, 4, LONG_MS));
    }
    for (long step = 10; step <= 30; step += 10) {
      for (RawTrainer rank : ranks) {
        rank.save(step);
      }
    }
    for (RawTrainer rank : ranks) {
      for (long step = 10; step <= 30; step += 10) {
        assertThat(rank.await("1-" + step)).isInstanceOf(Ended.Committed.class);
      }
    }
    requireWhole("1-30");
    assertThat(Stores.run(store).manifest(CheckpointId.parse("1-30")).summary().tensors())
        .isEqualTo(5);
    // Whole tensors of four ranks have one index; the spread one has none.
    Path folder = store.resolve("run/checkpoints/1-30");
    Json.Obj index =
        JsonReader.readObject(
            Files.readAllBytes(folder.resolve("optimizer.safetensors.index.json")));
    assertThat(index.object("weight_map").fields().keySet())
        .containsExactly("own0", "own1", "own2", "own3");
    assertThat(index.object("weight_map").text("own2")).startsWith("optimizer-00002.");
    assertThat(folder.resolve("model.safetensors.index.json")).doesNotExist();
    assertThat(folder.resolve("config.json")).exists();
  }

  @Test
  void ranksOfTwoAgentsBecomeOneCheckpoint() throws Exception {
    here.start();
    there.start();
    RawTrainer zero = rank(here, 0, 3, LONG_MS);
    RawTrainer one = rank(there, 1, 3, LONG_MS);
    RawTrainer two = rank(there, 2, 3, LONG_MS);
    two.save(10);
    zero.save(10);
    one.save(10);
    assertThat(zero.await("1-10")).isInstanceOf(Ended.Committed.class);
    assertThat(one.await("1-10")).isInstanceOf(Ended.Committed.class);
    assertThat(two.await("1-10")).isInstanceOf(Ended.Committed.class);
    requireWhole("1-10");
  }

  @Test
  void anotherAgentCommitsWhereThatOfRankZeroIsGone() throws Exception {
    Agent first = here.start();
    there.start();
    RawTrainer zero = rank(here, 0, 2, LONG_MS);
    RawTrainer one = rank(there, 1, 2, LONG_MS);
    zero.save(10);
    new EventsAwaited(here).of("part", 1);
    first.close();
    one.save(10);
    assertThat(one.await("1-10")).isInstanceOf(Ended.Committed.class);
    requireWhole("1-10");
  }

  @Test
  void aRankThatSkipsRefusesForAll() throws Exception {
    here.start();
    there.start();
    RawTrainer zero = rank(here, 0, 3, LONG_MS);
    RawTrainer one = rank(there, 1, 3, LONG_MS);
    RawTrainer two = rank(there, 2, 3, LONG_MS);
    zero.save(10);
    one.ask(new Request.Refuse(10, "skipped", "two saves still draining"));
    requireFailed(zero.await("1-10"), "rank 1 refused, skipped: two saves still draining");
    two.save(10);
    requireFailed(two.await("1-10"), "rank 1 refused, skipped");
    for (RawTrainer rank : List.of(zero, one, two)) {
      rank.save(20);
    }
    assertThat(two.await("1-20")).isInstanceOf(Ended.Committed.class);
    requireWhole("1-20");
  }

  @Test
  void whoWaitsTooLongNamesTheMissingRanksAndGivesUpForAll() throws Exception {
    here.start();
    RawTrainer zero = rank(here, 0, 3, 1_000);
    RawTrainer one = rank(here, 1, 3, LONG_MS);
    zero.save(10);
    Ended ended = zero.await("1-10");
    requireFailed(ended, "not all of 3 ranks came in time");
    requireFailed(ended, "rank 1 is on this node and has not sealed it");
    requireFailed(ended, "rank 2 has stored nothing of it");
    one.save(10);
    requireFailed(one.await("1-10"), "not all of 3 ranks came in time");
    RawTrainer two = rank(here, 2, 3, LONG_MS);
    two.save(10);
    requireFailed(two.await("1-10"), "not all of 3 ranks came in time");
  }

  @Test
  void aRankThatDiesBeforeItSealsEndsTheAttemptOfTheOthers() throws Exception {
    here.start();
    there.start();
    RawTrainer zero = rank(here, 0, 2, LONG_MS);
    RawTrainer one = rank(there, 1, 2, LONG_MS);
    one.save(10);
    zero.save(10);
    assertThat(zero.await("1-10")).isInstanceOf(Ended.Committed.class);
    zero.save(20);
    one.die();
    requireFailed(zero.await("1-20"), "rank 1 died: process");
    requireWhole("1-10");
  }

  @Test
  void nobodyWaitsForAnAttemptThatANewStartLeftBehind() throws Exception {
    here.start();
    RawTrainer zero = rank(here, 0, 2, LONG_MS);
    zero.save(10);
    new EventsAwaited(here).of("part", 1);
    Starts starts = new Starts(Stores.run(store), Nodes.CLOCK, Starts.Check.none());
    starts.decide(starts.join("t2", 2, Wanted.FRESH));
    assertThat(zero.await("1-10")).isInstanceOf(Ended.Fenced.class);
  }

  @Test
  void aStoreThatIsNotSharedIsRefusedByTheNodeThatDoesNotSeeRankZero() throws Exception {
    here.start();
    there.start(FAST);
    RawTrainer zero = here.trainer("0011223344556600");
    trainers.add(zero);
    zero.start(store.resolve("one"), "t1", 0, 2, LONG_MS);
    RawTrainer one = there.trainer("0011223344556601");
    trainers.add(one);
    one.start(store.resolve("other"), "t1", 1, 2, LONG_MS);
    one.register(layout(1, 2), null);
    one.save(10);
    Ended ended = one.await("1-10");
    requireFailed(
        ended, "the store is not shared: node node1 has ranks [1] of 2, and rank 0 has never come");
    assertThat(((Ended.Failed) ended).error()).isInstanceOf(KeepstoneException.Refused.class);
  }

  @Test
  void aRankZeroThatComesVeryLateIsWaitedFor() throws Exception {
    here.start();
    there.start(FAST);
    RawTrainer one = rank(there, 1, 2, LONG_MS);
    new EventsAwaited(there).of("absent", 1);
    RawTrainer zero = rank(here, 0, 2, LONG_MS);
    one.save(10);
    zero.save(10);
    assertThat(one.await("1-10")).isInstanceOf(Ended.Committed.class);
    assertThat(zero.await("1-10")).isInstanceOf(Ended.Committed.class);
    requireWhole("1-10");
  }

  @Test
  void oneRanksFullDiskEndsTheSaveOfAllAndHarmsNothing() throws Exception {
    AtomicBoolean full = new AtomicBoolean();
    here.start();
    there.start(
        256L << 20,
        Duration.ofSeconds(90),
        new FaultyDisk(Disk.local())
            .failing(
                operation -> full.get() && operation.path().toString().endsWith(".safetensors"),
                FaultyDisk.Fault.NO_SPACE));
    RawTrainer zero = rank(here, 0, 2, LONG_MS);
    RawTrainer one = rank(there, 1, 2, LONG_MS);
    save(10, zero, one);
    requireWhole("1-10");
    full.set(true);
    zero.save(20);
    one.save(20);
    requireFailed(zero.await("1-20"), "rank 1 refused, no-space");
    assertThat(one.await("1-20"))
        .isInstanceOfSatisfying(
            Ended.Failed.class,
            failed -> assertThat(failed.error()).isInstanceOf(KeepstoneException.NoSpace.class));
    requireWhole("1-10");
    full.set(false);
    save(30, zero, one);
    requireWhole("1-30");
  }

  private static void save(long step, RawTrainer... ranks) throws IOException {
    for (RawTrainer rank : ranks) {
      rank.save(step);
    }
    for (RawTrainer rank : ranks) {
      assertThat(rank.await("1-" + step)).isInstanceOf(Ended.Committed.class);
    }
  }

  /// Waits until an agent told of something.
  private record EventsAwaited(Nodes node) {
    void of(String kind, int count) throws IOException {
      EventTail tail = new EventTail(node.directory.events());
      while (tail.count(kind) < count) {
        Nodes.CLOCK.pause(Duration.ofMillis(5));
      }
    }
  }
}
