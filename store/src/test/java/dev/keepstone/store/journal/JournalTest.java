package dev.keepstone.store.journal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.TestClock;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.fact.Batch;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.fact.Mode;
import dev.keepstone.store.object.End;
import dev.keepstone.store.object.Names.BatchName;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.run.Damaged;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.run.View;
import dev.keepstone.store.start.Started;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.LocalTier;
import dev.keepstone.store.tier.Tier;
import dev.keepstone.testkit.FaultyDisk;
import dev.keepstone.testkit.FaultyDisk.Fault;
import dev.keepstone.testkit.MemoryDisk;
import dev.keepstone.testkit.Operation;
import dev.keepstone.testkit.Operation.Act;
import dev.keepstone.testkit.Seeds;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Facts are written, read, put into snapshots, damaged and lost with the power.
final class JournalTest {
  private static final Path ROOT = Path.of("/data/ckpts");
  private static final String NONCE = "aaaaaaaa";

  private final TestClock clock = new TestClock();
  private MemoryDisk memory = new MemoryDisk();
  private Run run = open(memory);

  static LongStream seeds() {
    return Seeds.count(60);
  }

  private Run open(Disk disk) {
    Tier tier = new LocalTier(disk, ROOT, clock, NONCE, Duration.ZERO);
    return StoreRoot.openOrMake(tier, clock).runOrMake("gpt", clock, new Random(1));
  }

  private static CheckpointId id(String text) {
    return CheckpointId.parse(text);
  }

  private Journal journal(String nonce) {
    return Journal.of(run, clock, nonce, "test");
  }

  private void commit(String... ids) {
    Starts starts = new Starts(run, clock, Starts.Check.none());
    starts.decide(starts.join("a", 1, Wanted.LATEST));
    for (String text : ids) {
      Commit commit = new Commit(run);
      commit.putPart(Checkpoints.write(run, id(text), 0, 1, NONCE));
      assertThat(commit.publish(id(text))).isEqualTo(new Published.Committed());
    }
  }

  private void purge(String text) {
    byte[] end = new End(run.uid(), id(text), 1, End.Outcome.PURGED).encode();
    run.tier().put(run.names().end(id(text), 1), end);
    run.tier().delete(run.names().manifest(id(text)));
  }

  private List<String> files(String directory) {
    return run.tier().list(directory).stream().sorted().toList();
  }

  /// A reader that remembers nothing.
  private View fresh() {
    return open(memory).look();
  }

  private static Fact.Metrics loss(String id, double value) {
    return new Fact.Metrics(CheckpointId.parse(id), Json.object().put("val", value).build());
  }

  @Test
  void whatWasWrittenDownIsSeenByTheNextLook() {
    commit("1-10", "1-20");
    Journal journal = journal("00000001");
    journal.append(List.of(loss("1-10", 2.5), new Fact.Durable(id("1-10"), 61.5)));
    View view = fresh();
    assertThat(view.metrics(id("1-10")))
        .isEqualTo(Json.object().put("loss", 2.5).put("val", 2.5).build());
    assertThat(view.facts().durableMs(id("1-10")).getAsDouble()).isEqualTo(61.5);
    journal.append(List.of(new Fact.Tag("paper", Optional.of(id("1-10")))));
    assertThat(run.look().find(new Which.Tag("paper"))).isEqualTo(id("1-10"));
    assertThat(files("gpt/facts")).containsExactly("00000001.1.json", "00000001.2.json");
  }

  @Test
  void moreThanABatchHoldsIsWrittenInSeveral() {
    List<Fact> facts = new ArrayList<>();
    for (int i = 0; i < 2 * Batch.MOST_FACTS + 1; i++) {
      facts.add(new Fact.Durable(new CheckpointId(1, i), i));
    }
    journal("00000001").append(facts);
    assertThat(files("gpt/facts")).hasSize(3);
    assertThat(fresh().facts().durableMs(new CheckpointId(1, 2 * Batch.MOST_FACTS)).getAsDouble())
        .isEqualTo(2 * Batch.MOST_FACTS);
  }

  @Test
  void bestIsByTheRunsOwnMetricAndOfEqualOnesTheNewer() {
    commit("1-10", "1-20", "1-30", "1-40");
    assertThatExceptionOfType(KeepstoneException.Refused.class)
        .isThrownBy(() -> run.look().find(new Which.Best()))
        .matches(refused -> refused.next().contains("monitor"));
    Journal journal = journal("00000001");
    journal.append(
        List.of(
            new Fact.Policy(Json.object().put("monitor", "val").put("mode", "min").build()),
            loss("1-10", 2),
            loss("1-20", 2),
            loss("1-30", 3),
            new Fact.Metrics(
                id("1-40"),
                Json.object()
                    .put("val", Json.object().put("~", "float").put("v", "nan").build())
                    .build())));
    assertThat(run.look().find(new Which.Best())).isEqualTo(id("1-20"));
    assertThat(run.look().best("val", Mode.MAX)).contains(id("1-30"));
    assertThat(run.look().best("nothing", Mode.MAX)).isEmpty();
    journal.append(List.of(new Fact.Verdict(id("1-20"), true, false, "a flipped bit")));
    assertThat(run.look().find(new Which.Best())).isEqualTo(id("1-10"));
  }

  @Test
  void aQuarantinedCheckpointIsNeitherLatestNorGoneOnFromUntilItIsFoundGood() {
    commit("1-10", "1-20");
    Journal journal = journal("00000001");
    journal.append(List.of(new Fact.Verdict(id("1-20"), false, false, "a shard is missing")));
    assertThat(run.look().latest()).contains(id("1-10"));
    assertThat(run.look().find(new Which.Id(id("1-20")))).isEqualTo(id("1-20"));
    Starts starts = new Starts(run, clock, Starts.Check.none());
    Started started = starts.decide(starts.join("b", 1, Wanted.LATEST));
    assertThat(started.parent()).contains(id("1-10"));
    assertThat(started.skipped())
        .extracting(skipped -> skipped.id() + " " + skipped.why())
        .containsExactly("1-20 quarantined by a verification: a shard is missing");
    journal.append(List.of(new Fact.Verdict(id("1-20"), true, true, "")));
    assertThat(run.look().quarantined(id("1-20"))).isFalse();
  }

  @Test
  void aDamagedBatchIsNamedAndHidesNoOther() throws Exception {
    commit("1-10");
    Journal journal = journal("00000001");
    journal.append(List.of(new Fact.Note(id("1-10"), "one")));
    journal.append(List.of(new Fact.Pin(id("1-10"), true, "")));
    rewrite("gpt/facts/00000001.1.json", bytes -> bytes[20] ^= 1);
    View view = fresh();
    assertThat(view.damaged())
        .extracting(Damaged::name)
        .containsExactly("gpt/facts/00000001.1.json");
    assertThat(view.facts().pinned(id("1-10"))).isTrue();
    assertThat(view.facts().note(id("1-10"))).isEmpty();
    // A snapshot does not cover it, so that a good copy of it counts when it comes back.
    assertThat(Snapshots.take(run, clock)).contains(1L);
    rewrite("gpt/facts/00000001.1.json", bytes -> bytes[20] ^= 1);
    assertThat(fresh().damaged()).isEmpty();
    assertThat(fresh().facts().note(id("1-10"))).contains("one");
  }

  @Test
  void aBatchOfAnotherRunOrNameIsForeign() {
    byte[] other =
        new Batch(
                "0".repeat(32),
                new BatchName("00000002", 1),
                clock.instant(),
                "",
                List.of(new Fact.Pin(id("1-10"), true, "")))
            .encode();
    run.tier().put(run.names().batch(new BatchName("00000002", 1)), other);
    run.tier().put(run.names().facts() + "/notes.txt", other);
    View view = fresh();
    assertThat(view.damaged()).singleElement().matches(d -> d.why().what().contains("foreign"));
    assertThat(view.facts().pinned(id("1-10"))).isFalse();
  }

  @Test
  void aSnapshotAloneSaysAllThatItsManifestsBatchesAndEndsSaid() throws Exception {
    commit("1-10", "1-20", "1-30");
    purge("1-10");
    Journal journal = journal("00000001");
    journal.append(List.of(loss("1-20", 2.5)));
    journal.append(List.of(new Fact.Pin(id("1-20"), true, "paper")));
    View before = fresh();
    assertThat(Snapshots.take(run, clock)).contains(1L);
    assertThat(files("gpt/facts"))
        .as("with one snapshot nothing is removed")
        .containsExactly("00000001.1.json", "00000001.2.json", "snapshot-1.json");
    assertThat(Snapshots.take(run, clock)).contains(2L);
    assertThat(files("gpt/facts")).containsExactly("snapshot-1.json", "snapshot-2.json");
    assertThat(files("gpt/tombs")).isEmpty();

    // Whatever the manifests say now is not read: they are what the snapshot says.
    for (String file : files("gpt/manifests")) {
      rewrite("gpt/manifests/" + file, bytes -> bytes[30] ^= 1);
    }
    View view = fresh();
    assertThat(view.damaged()).isEmpty();
    assertThat(view.manifests()).isEqualTo(before.manifests());
    assertThat(view.facts()).isEqualTo(before.facts());
    assertThat(view.tombs().purged(id("1-10"))).isTrue();
    assertThat(open(memory).tombs(id("1-10")).purged(id("1-10"))).isTrue();
  }

  @Test
  void aDamagedSnapshotIsNamedAndTheOneBeforeUsed() throws Exception {
    commit("1-10");
    Journal journal = journal("00000001");
    journal.append(List.of(new Fact.Pin(id("1-10"), true, "")));
    Snapshots.take(run, clock);
    journal.append(List.of(new Fact.Note(id("1-10"), "later")));
    Snapshots.take(run, clock);
    rewrite("gpt/facts/snapshot-2.json", bytes -> bytes[40] ^= 1);
    View view = fresh();
    assertThat(view.damaged())
        .extracting(Damaged::name)
        .containsExactly("gpt/facts/snapshot-2.json");
    assertThat(view.facts().pinned(id("1-10"))).isTrue();
    assertThat(view.facts().note(id("1-10"))).contains("later");
    // It is made up for at once, and not removed before two good ones stand after it.
    run = open(memory);
    assertThat(Snapshots.takeWhenDue(run, clock)).contains(3L);
    assertThat(fresh().damaged()).isEmpty();
    assertThat(fresh().facts().note(id("1-10"))).contains("later");
  }

  @Test
  void noSnapshotIsTakenWhereNothingCameAfterTheLast() {
    commit("1-10");
    assertThat(Snapshots.takeWhenDue(run, clock)).isEmpty();
    Journal journal = journal("00000001");
    for (int i = 0; i < 256; i++) {
      journal.append(List.of(new Fact.Durable(id("1-10"), i)));
    }
    assertThat(Snapshots.takeWhenDue(run, clock)).contains(1L);
    assertThat(Snapshots.takeWhenDue(run, clock)).isEmpty();
  }

  @Test
  void aNewerVersionKeepsSnapshotsFromBeingTaken() {
    commit("1-10");
    byte[] newer =
        dev.keepstone.store.object.StoreObject.encode(
            Json.object().put("v", 2).put("kind", "facts").build());
    run.tier().put(run.names().batch(new BatchName("00000009", 1)), newer);
    assertThat(Snapshots.take(run, clock)).isEmpty();
  }

  @Test
  void anEarlierJournalsNumbersAreNotUsedAgainEvenWhereTheyLookFree() {
    commit("1-10");
    journal("00000001").append(List.of(new Fact.Note(id("1-10"), "one")));
    Snapshots.take(run, clock);
    Snapshots.take(run, clock);
    assertThat(files("gpt/facts")).doesNotContain("00000001.1.json");
    run = open(memory);
    journal("00000001").append(List.of(new Fact.Note(id("1-10"), "two")));
    assertThat(files("gpt/facts")).contains("00000001.2.json");
    assertThat(fresh().facts().note(id("1-10"))).contains("two");
  }

  @Test
  void anUnknownOutcomeIsToldAndItsNumberNeverUsedAgain() {
    commit("1-10");
    FaultyDisk faulty = new FaultyDisk(memory);
    run = open(faulty);
    Journal journal = journal("00000001");
    faulty.failing(
        operation -> operation.act() == Act.LINK && operation.toString().contains("facts"),
        Fault.INPUT_OUTPUT);
    assertThatExceptionOfType(KeepstoneException.OutcomeUnknown.class)
        .isThrownBy(() -> journal.append(List.of(new Fact.Note(id("1-10"), "one"))));
    faulty.heal();
    journal.append(List.of(new Fact.Note(id("1-10"), "two")));
    assertThat(files("gpt/facts")).containsExactly("00000001.2.json");
  }

  /// Facts, snapshots and removals by two writers; the power fails at any operation, and luck
  /// decides over what was not synced. What was acknowledged is there afterwards, for ever.
  @ParameterizedTest
  @MethodSource("seeds")
  void nothingAcknowledgedIsLostInACrash(long seed) {
    Random random = Seeds.random(seed);
    commit("1-10", "1-20");
    purge("1-10");
    FaultyDisk faulty = new FaultyDisk(memory);
    faulty.failing(Operation.from(random.nextInt(150)), Fault.CRASH);
    List<Double> acknowledged = new ArrayList<>();
    double said = 0;
    try {
      run = open(faulty);
      List<Journal> journals = List.of(journal("00000001"), journal("00000002"));
      while (said < 40) {
        said++;
        journals
            .get(random.nextInt(2))
            .append(List.of(new Fact.Durable(new CheckpointId(2, (long) said), said)));
        acknowledged.add(said);
        if (random.nextInt(4) == 0) {
          Snapshots.take(run, clock);
        }
      }
    } catch (KeepstoneException | FaultyDisk.Crashed e) {
      // The end of this process, in the middle of whatever it was doing.
    }
    memory = memory.afterCrash(random);
    View view = fresh();
    for (double one : acknowledged) {
      assertThat(view.facts().durableMs(new CheckpointId(2, (long) one)))
          .as("acknowledged: " + one)
          .hasValue(one);
    }
    assertThat(view.facts().durableMs(new CheckpointId(2, (long) said + 1))).isEmpty();
    assertThat(view.damaged()).isEmpty();
    assertThat(open(memory).tombs(id("1-10")).purged(id("1-10"))).isTrue();
    assertThat(view.latest()).contains(id("1-20"));
    // Life goes on.
    run = open(memory);
    journal("00000003").append(List.of(new Fact.Note(id("1-20"), "after")));
    assertThat(Snapshots.take(run, clock)).isPresent();
    assertThat(fresh().facts().note(id("1-20"))).contains("after");
  }

  private interface Change {
    void to(byte[] bytes);
  }

  /// Damages a file by hand, as a device that rots.
  private void rewrite(String name, Change change) {
    byte[] bytes = run.tier().read(name).orElseThrow();
    change.to(bytes);
    run.tier().delete(name);
    run.tier().put(name, bytes);
  }
}
