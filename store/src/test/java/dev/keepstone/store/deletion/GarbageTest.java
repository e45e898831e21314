package dev.keepstone.store.deletion;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.TestClock;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.deletion.Leftover.Kind;
import dev.keepstone.store.hold.ReaderHold;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.retention.Retention;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.LocalTier;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Leftovers of the dead on a real disk, where files have ages: found, collected, and nothing else
/// touched.
final class GarbageTest {
  private static final CheckpointId A = CheckpointId.parse("1-10");
  private static final CheckpointId B = CheckpointId.parse("1-20");

  @TempDir Path store;

  private final TestClock clock = new TestClock();
  private Run run;

  @BeforeEach
  void aRunOfTwoCheckpoints() {
    LocalTier tier = new LocalTier(Disk.local(), store, clock, Checkpoints.NONCE, Duration.ZERO);
    run = StoreRoot.openOrMake(tier, clock).runOrMake("gpt", clock, new Random(1));
    Starts starts = new Starts(run, clock, Starts.Check.none());
    starts.decide(starts.join("a", 1, Wanted.LATEST));
    save(A);
    save(B);
  }

  private void save(CheckpointId id) {
    Commit commit = new Commit(run);
    commit.putPart(Checkpoints.write(run, id, 0, 1, Checkpoints.NONCE));
    assertThat(commit.publish(id)).isEqualTo(new Published.Committed());
  }

  /// Sets every time in the run back, so that whatever lies there is as good as two days old.
  private void age() {
    age(Duration.ofDays(2));
  }

  private void age(Duration by) {
    try (Stream<Path> all = Files.walk(store)) {
      for (Path path : all.filter(path -> !Files.isSymbolicLink(path)).toList()) {
        FileTime old = FileTime.from(Files.getLastModifiedTime(path).toInstant().minus(by));
        Files.setLastModifiedTime(path, old);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void file(String name) throws IOException {
    Path path = store.resolve("gpt").resolve(name);
    Files.createDirectories(path.getParent());
    Files.writeString(path, "left");
  }

  private Deletion deletion(Duration grace) {
    return new Deletion(
        run, clock, Author.of(run, clock, "0000000c", "test"), grace, Ages.ask(run, "0000000c"));
  }

  private List<Leftover> find() {
    return Garbage.find(run, Ages.ask(run, "0000000c"));
  }

  private List<String> names() {
    try (Stream<Path> all = Files.walk(store)) {
      return all.map(path -> store.relativize(path).toString()).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void aSoundRunHasNoLeftoversHoweverOldItIs() {
    age();
    assertThat(find()).isEmpty();
  }

  @Test
  void whatIsNotOursByNameAndKindIsNeverFound() throws Exception {
    for (String name :
        List.of(
            "checkpoints/1-10/notes.txt",
            "checkpoints/1-10/model.safetensors",
            "checkpoints/1-10/.hidden.7c1e02aa.1.tmp",
            "checkpoints/1-10/notes.txt.7c1e02aa.1.tmp",
            "checkpoints/old/model-00000.0000000b.safetensors",
            "manifests/README.7c1e02aa.1.tmp",
            "tombs/probe.me.json",
            "mine/1.json.7c1e02aa.1.tmp",
            "run.json.bak")) {
      file(name);
    }
    Path link = store.resolve("gpt/checkpoints/1-10/model-00000.0000000d.safetensors");
    Files.createSymbolicLink(link, store.resolve("gpt/run.json"));
    Files.createDirectory(store.resolve("gpt/checkpoints/1-10/state-00000.0000000d.json"));
    age();
    List<String> before = names();
    List<Leftover> found = find();
    assertThat(found).isEmpty();
    deletion(Duration.ZERO).collect(found);
    assertThat(names()).isEqualTo(before);
  }

  @Test
  void whatIsYoungIsSomebodysStill() throws Exception {
    age();
    file("checkpoints/1-10/model-00000.0000000b.safetensors");
    file("checkpoints/1-30/model-00000.0000000b.safetensors");
    file("manifests/1-30.json.0000000b.1.tmp");
    ReaderHold.take(run, A, "0000000b");
    assertThat(find()).isEmpty();
  }

  @Test
  void orphansTemporariesAndDeadHoldsAreFoundWithTheirReasonsAndCollected() throws Exception {
    List<String> before = names();
    file("checkpoints/1-10/model-00000.0000000b.safetensors");
    file("checkpoints/1-10/part-00000.json.0000000b.7.tmp");
    file("manifests/1-30.json.0000000b.1.tmp");
    file("starts/2.parent.json.0000000b.2.tmp");
    file("tombs/1-10.1.end.json.0000000b.3.tmp");
    file("tombs/probe.0000000b.json");
    ReaderHold.take(run, A, "0000000b");
    age();
    List<Leftover> found = find();
    assertThat(found).hasSize(7).allSatisfy(one -> assertThat(one.why()).isNotEmpty());
    assertThat(found.stream().filter(one -> one.kind() == Kind.ORPHAN).map(Leftover::name))
        .containsExactly("gpt/checkpoints/1-10/model-00000.0000000b.safetensors");
    assertThat(found.stream().filter(one -> one.kind() == Kind.HOLD)).hasSize(1);
    assertThat(deletion(Duration.ZERO).collect(found).bytes()).isEqualTo(24);
    assertThat(find()).isEmpty();
    before = Stream.concat(before.stream(), Stream.of("gpt/holds")).sorted().toList();
    assertThat(names()).containsExactlyInAnyOrderElementsOf(withTombs(before));
  }

  private static List<String> withTombs(List<String> names) {
    return Stream.concat(names.stream(), Stream.of("gpt/tombs")).distinct().sorted().toList();
  }

  @Test
  void abandonedAttemptsAreAnnouncedAndGoAfterTheirGrace() throws Exception {
    file("checkpoints/1-30/model-00000.0000000b.safetensors");
    new Commit(run)
        .putPart(
            new Refusal(
                run.uid(), CheckpointId.parse("1-40"), 0, 1, "0000000b", Refusal.Why.DIED, "x"));
    age();
    List<Leftover> found = find();
    assertThat(found).extracting(Leftover::kind).containsExactly(Kind.ATTEMPT, Kind.ATTEMPT);
    assertThat(found).extracting(Leftover::why).last().asString().contains("died");
    Deletion deletion = deletion(Duration.ofMinutes(2));
    assertThat(deletion.collect(found).events()).hasSize(2);
    Set<CheckpointId> ids = Set.of(CheckpointId.parse("1-30"), CheckpointId.parse("1-40"));
    assertThat(deletion.round(ids)).isEmpty();
    clock.pause(Duration.ofMinutes(2));
    assertThat(deletion.round(ids)).hasSize(2);
    assertThat(run.look().visible()).containsExactly(A, B);
    assertThat(run.tier().list("gpt/checkpoints")).containsExactlyInAnyOrder("1-10", "1-20");
  }

  @Test
  void anAttemptThatWantsNothingButItsManifestIsGivenOne() {
    CheckpointId id = CheckpointId.parse("1-30");
    new Commit(run).putPart(Checkpoints.write(run, id, 0, 1, Checkpoints.NONCE));
    age();
    List<Leftover> found = find();
    assertThat(found).extracting(Leftover::kind).containsExactly(Kind.FINISHABLE);
    deletion(Duration.ZERO).collect(found);
    assertThat(run.look().latest()).contains(id);
  }

  @Test
  void aStartThatNeverChoseIsMadeVoidByALoneCommandOnceItIsOldAndNotBefore() throws Exception {
    file("checkpoints/1-30/model-00000.0000000b.safetensors");
    new Starts(run, clock, Starts.Check.none()).join("dead", 1, Wanted.LATEST);
    assertThat(find()).isEmpty();
    age();
    List<Leftover> found = find();
    assertThat(found)
        .singleElement()
        .matches(one -> one.kind() == Kind.UNDECIDED && one.name().equals("gpt/starts/2.json"));
    deletion(Duration.ZERO).collect(found);
    assertThat(run.look().undecided()).isFalse();
    assertThat(run.look().visible()).containsExactly(A, B);
    assertThat(find()).extracting(Leftover::kind).containsExactly(Kind.ATTEMPT);
  }

  @Test
  void aStartThatChoseAfterItWasFoundUndecidedStays() {
    Starts starts = new Starts(run, clock, Starts.Check.none());
    Start late = starts.join("slow", 1, Wanted.LATEST);
    age();
    List<Leftover> found = find();
    starts.decide(late);
    deletion(Duration.ZERO).collect(found);
    assertThat(run.look().starts().newestDecided()).hasValue(2);
  }

  @Test
  void anOldTombIsConcludedByACommandThatNeverSawItAndAYoungOneIsNot() {
    Deletion author = new Deletion(run, clock, "0000000b", Duration.ofMinutes(5));
    KeepRules rules = KeepRules.last(1);
    author.announce(Retention.plan(run.look(), rules, Map.of()), new Wish.Rules(rules.toJson()));
    assertThat(deletion(Duration.ofHours(24)).round(Set.of(A))).isEmpty();
    age(Duration.ofHours(24));
    assertThat(deletion(Duration.ofHours(24)).round(Set.of(A))).as("five minutes more").isEmpty();
    assertThat(run.look().visible()).containsExactly(A, B);
    age(Duration.ofMinutes(6));
    assertThat(deletion(Duration.ofHours(24)).round(Set.of(A)))
        .singleElement()
        .isInstanceOf(DeletionEvent.Purged.class);
    assertThat(run.look().visible()).containsExactly(B);
  }

  @Test
  void whatADryRunForetellsIsWhatIsFound() throws Exception {
    file("checkpoints/1-10/model-00000.0000000b.safetensors");
    age();
    List<String> before = names();
    assertThat(Garbage.find(run, Ages.guess(Instant.now()))).isEqualTo(find());
    assertThat(names()).containsExactlyInAnyOrderElementsOf(withTombs(before));
    assertThat(Optional.of(find()).map(List::size)).contains(1);
  }
}
