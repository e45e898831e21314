package dev.keepstone.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.PartOutcome;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.deletion.Deletion;
import dev.keepstone.store.deletion.DeletionEvent;
import dev.keepstone.store.hold.ReaderHold;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.run.Attempt;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.run.View;
import dev.keepstone.store.start.Started;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.LocalTier;
import dev.keepstone.testkit.MemoryDisk;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The whole life of checkpoints, over the real tier on a disk in memory.
final class StoreRoadTest {
  private static final Path ROOT = Path.of("/data/ckpts");

  private final MemoryDisk disk = new MemoryDisk();
  private final TestClock clock = new TestClock();
  private LocalTier tier = tier();
  private Run run = open();

  private LocalTier tier() {
    return new LocalTier(disk, ROOT, clock, Checkpoints.NONCE, Duration.ZERO);
  }

  private Run open() {
    return StoreRoot.openOrMake(tier, clock).runOrMake("gpt", clock, new Random(1));
  }

  @BeforeEach
  void aRun() {
    tier = tier();
    run = open();
  }

  private Started start(String token, Wanted wanted) {
    Starts starts = new Starts(run, clock, Starts.Check.none());
    return starts.decide(starts.join(token, 1, wanted));
  }

  private Published save(CheckpointId id) {
    Commit commit = new Commit(run);
    assertThat(commit.putPart(Checkpoints.write(run, id, 0, 1, Checkpoints.NONCE)))
        .isInstanceOf(PartOutcome.Stands.class);
    return commit.publish(id);
  }

  private static CheckpointId id(String text) {
    return CheckpointId.parse(text);
  }

  private List<DeletionEvent> deleteAll(KeepRules rules) {
    Deletion deletion = new Deletion(run, clock, Checkpoints.NONCE, Deletion.AUTOMATIC_GRACE);
    List<DeletionEvent> events = new ArrayList<>(deletion.tick(rules, Set.of()));
    for (int i = 0; i < 4; i++) {
      clock.pause(Duration.ofSeconds(60));
      events.addAll(deletion.tick(rules, Set.of()));
    }
    return events;
  }

  private Started started(int number, Optional<CheckpointId> parent) {
    return new Started(run.start(number), parent, List.of());
  }

  @Test
  void aTrainerThatStartsAgainGoesOnFromItsLatestCheckpoint() {
    assertThat(start("a", Wanted.LATEST)).isEqualTo(started(1, Optional.empty()));
    assertThat(save(id("1-20"))).isEqualTo(new Published.Committed());
    assertThat(save(id("1-40"))).isEqualTo(new Published.Committed());
    assertThat(run.look().latest()).contains(id("1-40"));

    assertThat(start("b", Wanted.LATEST)).isEqualTo(started(2, Optional.of(id("1-40"))));
    assertThat(start("b", Wanted.LATEST).start()).as("another rank joins").isEqualTo(2);
    assertThat(save(id("2-60"))).isEqualTo(new Published.Committed());
    assertThat(run.look().visible()).containsExactly(id("1-20"), id("1-40"), id("2-60"));
    assertThat(run.look().damaged()).isEmpty();
  }

  @Test
  void aRollbackTakesWhatCameAfterItOffTheLineAndFencesTheOldTrainer() {
    start("a", Wanted.LATEST);
    save(id("1-20"));
    save(id("1-40"));
    start("b", new Wanted.Of(id("1-20")));
    assertThat(save(id("1-60"))).isEqualTo(new Published.Fenced(2));
    View view = run.look();
    assertThat(view.visible()).containsExactly(id("1-20"));
    assertThat(view.standing()).contains(id("1-40"), id("1-60"));
    assertThat(view.find(new Which.Id(id("1-40")))).isEqualTo(id("1-40"));
  }

  @Test
  void whatIsWantedAndNotThereMakesTheStartVoid() {
    assertThatExceptionOfType(KeepstoneException.NotFound.class)
        .isThrownBy(() -> start("a", Wanted.MUST));
    start("b", Wanted.LATEST);
    save(id("2-20"));
    assertThatExceptionOfType(KeepstoneException.NotFound.class)
        .isThrownBy(() -> start("c", new Wanted.Of(id("2-30"))))
        .withMessageContaining("2-30");
    assertThat(run.look().latest()).contains(id("2-20"));
    assertThat(run.look().undecided()).isFalse();
  }

  @Test
  void aRefusalEndsTheAttemptForAllRanks() {
    start("a", Wanted.LATEST);
    Commit commit = new Commit(run);
    commit.putPart(Checkpoints.write(run, id("1-20"), 0, 2, Checkpoints.NONCE));
    assertThat(commit.publish(id("1-20"))).isEqualTo(new Published.Incomplete(List.of(1)));
    Refusal refusal =
        new Refusal(
            run.uid(), id("1-20"), 1, 2, Checkpoints.NONCE, Refusal.Why.NO_SPACE, "disk full");
    commit.putPart(refusal);
    assertThat(commit.publish(id("1-20"))).isEqualTo(new Published.Refused(refusal));
    assertThat(run.look().latest()).isEmpty();
    Attempt attempt = run.attempts(run.look()).getFirst();
    assertThat(run.look().state(attempt)).isEqualTo(Attempt.State.FAILED);
  }

  @Test
  void aSecondAgentsPartOfOneRankLosesAndTakesOnlyItsOwnShardsAway() {
    start("a", Wanted.LATEST);
    Commit commit = new Commit(run);
    commit.putPart(Checkpoints.write(run, id("1-20"), 0, 1, Checkpoints.NONCE));
    PartOutcome second = commit.putPart(Checkpoints.write(run, id("1-20"), 0, 1, "aaaaaaaa"));
    assertThat(second).isInstanceOf(PartOutcome.Lost.class);
    assertThat(tier.list(run.names().checkpoint(id("1-20"))))
        .noneMatch(name -> name.contains("aaaaaaaa"))
        .hasSize(3);
    assertThat(commit.publish(id("1-20"))).isEqualTo(new Published.Committed());
  }

  @Test
  void allRanksOfAnyWorldMakeOneCheckpoint() {
    start("a", Wanted.LATEST);
    Commit commit = new Commit(run);
    for (int rank = 0; rank < 5; rank++) {
      commit.putPart(Checkpoints.write(run, id("1-20"), rank, 5, Checkpoints.NONCE));
    }
    assertThat(commit.publish(id("1-20"))).isEqualTo(new Published.Committed());
    assertThat(commit.publish(id("1-20"))).isEqualTo(new Published.Committed());
    assertThat(run.parts(run.manifest(id("1-20")))).hasSize(5);
  }

  @Test
  void retentionKeepsTheLastAndDeletesAfterTheGrace() {
    start("a", Wanted.LATEST);
    for (int step = 10; step <= 50; step += 10) {
      save(new CheckpointId(1, step));
    }
    assertThat(deleteAll(KeepRules.last(2)))
        .filteredOn(DeletionEvent.Purged.class::isInstance)
        .extracting(DeletionEvent::id)
        .containsExactlyInAnyOrder(id("1-10"), id("1-20"), id("1-30"));
    assertThat(run.look().visible()).containsExactly(id("1-40"), id("1-50"));
    assertThat(tier.list(run.names().checkpoints())).containsExactlyInAnyOrder("1-40", "1-50");
  }

  @Test
  void theParentOfTheNewestStartIsKeptWhateverTheRulesSay() {
    start("a", Wanted.LATEST);
    save(id("1-10"));
    start("b", Wanted.LATEST);
    save(id("2-20"));
    save(id("2-30"));
    deleteAll(KeepRules.last(1));
    assertThat(run.look().visible()).containsExactly(id("1-10"), id("2-30"));
  }

  @Test
  void whatAReaderHoldsStaysAsLongAsItRenews() {
    start("a", Wanted.LATEST);
    save(id("1-10"));
    save(id("1-20"));
    ReaderHold hold = ReaderHold.take(run, id("1-10"), "00000001");
    Deletion deletion = new Deletion(run, clock, Checkpoints.NONCE, Deletion.AUTOMATIC_GRACE);
    for (int i = 0; i < 20; i++) {
      deletion.tick(KeepRules.last(1), Set.of());
      clock.pause(ReaderHold.RENEW_EVERY);
      hold.renew();
    }
    assertThat(run.look().visible()).contains(id("1-10"));
    hold.close();
    for (int i = 0; i < 20; i++) {
      deletion.tick(KeepRules.last(1), Set.of());
      clock.pause(ReaderHold.RENEW_EVERY);
    }
    assertThat(run.look().visible()).containsExactly(id("1-20"));
    assertThatExceptionOfType(KeepstoneException.NotFound.class)
        .isThrownBy(() -> ReaderHold.take(run, id("1-10"), "00000002"));
    assertThat(tier.list(run.names().holds())).isEmpty();
  }

  @Test
  void aReaderThatDiedKeepsNothingForLongerThanAGrace() {
    start("a", Wanted.LATEST);
    save(id("1-10"));
    save(id("1-20"));
    ReaderHold.take(run, id("1-10"), "00000001");
    deleteAll(KeepRules.last(1));
    assertThat(run.look().visible()).containsExactly(id("1-20"));
  }

  @Test
  void foreignFilesAreNeverCountedNorDeleted() throws Exception {
    start("a", Wanted.LATEST);
    save(id("1-10"));
    save(id("1-20"));
    for (String name :
        List.of("manifests/README", "checkpoints/1-10/notes.txt", "starts/01.json", "holds.txt")) {
      disk.create(ROOT.resolve("gpt").resolve(name)).close();
    }
    deleteAll(KeepRules.last(1));
    assertThat(run.look().visible()).containsExactly(id("1-20"));
    assertThat(run.look().damaged()).isEmpty();
    assertThat(tier.list("gpt/checkpoints/1-10")).containsExactly("notes.txt");
  }

  @Test
  void aDamagedOrForeignManifestIsNamedAndHidesNoOther() throws Exception {
    start("a", Wanted.LATEST);
    save(id("1-10"));
    save(id("1-20"));
    byte[] good = tier.read(run.names().manifest(id("1-10"))).orElseThrow();
    tier.put("gpt/manifests/1-30.json", good);
    disk.create(ROOT.resolve("gpt/manifests/1-40.json")).close();
    View view = run.look();
    assertThat(view.visible()).containsExactly(id("1-10"), id("1-20"));
    assertThat(view.damaged())
        .extracting(damaged -> damaged.name())
        .containsExactly("gpt/manifests/1-30.json", "gpt/manifests/1-40.json");
    assertThat(view.damaged().getFirst().why())
        .hasMessageContaining("1-30")
        .hasMessageContaining("1-10");
  }

  @Test
  void aReferenceIsFoundByWalkingUpToTheStore() {
    assertThat(Reference.parse("/data/ckpts/gpt@1-20~1", disk))
        .isEqualTo(
            new Reference(ROOT, Optional.of("gpt"), new Which.Back(new Which.Id(id("1-20")), 1)));
    assertThat(Reference.parse("/data/ckpts", disk))
        .isEqualTo(new Reference(ROOT, Optional.empty(), Which.LATEST));
    assertThat(Reference.find("/data/ckpts/gpt/run.json", disk)).isEmpty();
    assertThat(Reference.find("/elsewhere/x@latest", disk)).isEmpty();
    assertThatExceptionOfType(KeepstoneException.NotFound.class)
        .isThrownBy(() -> Reference.parse("/elsewhere/x@latest", disk))
        .withMessageContaining("no store");
    assertThat(Reference.parse("/data/ckpts/gpt@best~1", disk).which())
        .isEqualTo(new Which.Back(new Which.Best(), 1));
    assertThat(Reference.parse("/data/ckpts/gpt@paper_v1.2", disk).which())
        .isEqualTo(new Which.Tag("paper_v1.2"));
    assertThatExceptionOfType(KeepstoneException.Refused.class)
        .isThrownBy(() -> Reference.parse("/data/ckpts/gpt@paper-v1", disk))
        .withMessageContaining("names no checkpoint");
  }

  @Test
  void whatIsNotThereIsAnsweredWithWhatIs() {
    start("a", Wanted.LATEST);
    save(id("1-10"));
    save(id("1-20"));
    assertThatExceptionOfType(KeepstoneException.NotFound.class)
        .isThrownBy(() -> run.look().find(new Which.Step(15)))
        .withMessageContaining("1-20 1-10");
    assertThatExceptionOfType(KeepstoneException.NotFound.class)
        .isThrownBy(() -> run.look().find(new Which.Back(Which.LATEST, 2)));
    assertThat(run.look().find(new Which.Back(Which.LATEST, 1))).isEqualTo(id("1-10"));
    assertThatExceptionOfType(KeepstoneException.NotFound.class)
        .isThrownBy(() -> StoreRoot.open(tier).run("gpl"))
        .withMessageContaining("take one of gpt");
  }

  @Test
  void aPartWhoseExtrasAreNotThereYetIsNotComplete() {
    start("a", Wanted.LATEST);
    Part part = Checkpoints.write(run, id("1-20"), 0, 1, Checkpoints.NONCE);
    byte[] extra = {'{', '}'};
    FileReceipt receipt = new FileReceipt("config.json", 2, Crc32.of(extra, 0, 2));
    Part listing =
        new Part(
            part.uid(),
            part.id(),
            0,
            1,
            part.nonce(),
            part.metrics(),
            part.shards(),
            part.state(),
            List.of(receipt),
            part.provenance(),
            part.sealed(),
            part.stallMs());
    Commit commit = new Commit(run);
    commit.putPart(listing);
    assertThat(commit.publish(id("1-20"))).isEqualTo(new Published.Incomplete(List.of(0)));
    tier.put(run.names().file(id("1-20"), "config.json"), extra);
    assertThat(commit.publish(id("1-20"))).isEqualTo(new Published.Committed());
  }

  @Test
  void aStartFinishesWhatTheDeadOneLeftComplete() {
    start("a", Wanted.LATEST);
    save(id("1-20"));
    new Commit(run).putPart(Checkpoints.write(run, id("1-40"), 0, 1, Checkpoints.NONCE));
    assertThat(start("b", Wanted.LATEST).parent()).contains(id("1-40"));
  }

  @Test
  void damagedCheckpointsArePassedOverAndSaid() {
    start("a", Wanted.LATEST);
    save(id("1-20"));
    save(id("1-40"));
    Starts picky =
        new Starts(
            run, clock, id -> id.step() > 20 ? Optional.of("bit 7 is wrong") : Optional.empty());
    Started started = picky.decide(picky.join("b", 1, Wanted.LATEST));
    assertThat(started.parent()).contains(id("1-20"));
    assertThat(started.skipped())
        .containsExactly(new Started.Skipped(id("1-40"), "bit 7 is wrong"));

    Starts never = new Starts(run, clock, id -> Optional.of("all is wrong"));
    assertThatExceptionOfType(KeepstoneException.Integrity.class)
        .isThrownBy(() -> never.decide(never.join("c", 1, Wanted.LATEST)))
        .withMessageContaining("all is wrong");
  }

  @Test
  void aDecisionThatCannotBeReadIsNoReasonToRollBack() throws Exception {
    start("a", Wanted.LATEST);
    save(id("1-20"));
    new Starts(run, clock, Starts.Check.none()).join("b", 1, Wanted.LATEST);
    disk.create(ROOT.resolve("gpt/starts/2.parent.json")).close();
    assertThat(run.look().undecided()).isTrue();
    assertThat(run.look().damaged()).hasSize(1);
    assertThatExceptionOfType(KeepstoneException.Integrity.class)
        .isThrownBy(() -> start("c", Wanted.LATEST))
        .withMessageContaining("2.parent.json");
    assertThat(deleteAll(KeepRules.last(1))).isEmpty();
  }

  @Test
  void aStartThatDiedBeforeItChoseIsMadeVoidAfterAGrace() {
    start("a", Wanted.LATEST);
    save(id("1-10"));
    save(id("1-20"));
    deleteAll(KeepRules.last(1));
    save(id("1-30"));
    new Deletion(run, clock, Checkpoints.NONCE, Deletion.AUTOMATIC_GRACE)
        .tick(KeepRules.last(1), Set.of());
    Starts starts = new Starts(run, clock, Starts.Check.none());
    var late = starts.join("b", 1, Wanted.LATEST);
    assertThat(run.look().undecided()).isTrue();
    deleteAll(KeepRules.last(1));
    assertThat(run.look().undecided()).isFalse();
    assertThat(run.look().visible()).containsExactly(id("1-30"));
    assertThat(starts.decide(late)).isEqualTo(started(3, Optional.of(id("1-30"))));
  }
}
