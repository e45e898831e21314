package dev.keepstone.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.deletion.Deletion;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.run.View;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.LocalTier;
import dev.keepstone.store.tier.Put;
import dev.keepstone.testkit.FaultyDisk;
import dev.keepstone.testkit.FaultyDisk.Fault;
import dev.keepstone.testkit.MemoryDisk;
import dev.keepstone.testkit.Operation;
import dev.keepstone.testkit.Operation.Act;
import dev.keepstone.testkit.Seeds;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// What is left when the process, the power or the disk fails at any operation of a save or a
/// deletion: everything committed is whole, and everything visible is.
final class StoreFaultsTest {
  private static final Path ROOT = Path.of("/data/ckpts");
  private static final CheckpointId FIRST = new CheckpointId(1, 10);
  private static final CheckpointId SECOND = new CheckpointId(1, 20);
  private static final byte[] BYTES = "bytes".getBytes(StandardCharsets.UTF_8);

  private final TestClock clock = new TestClock();

  private LocalTier tier(Disk disk, String nonce) {
    return new LocalTier(disk, ROOT, clock, nonce, Duration.ZERO);
  }

  private Run open(Disk disk, String nonce) {
    return StoreRoot.openOrMake(tier(disk, nonce), clock).runOrMake("gpt", clock, new Random(1));
  }

  /// The whole of a save, from the first directory of a store on.
  private Published save(Disk disk, CheckpointId id, String nonce) {
    Run run = open(disk, nonce);
    Starts starts = new Starts(run, clock, Starts.Check.none());
    starts.decide(starts.join("a", 1, Wanted.LATEST));
    Commit commit = new Commit(run);
    commit.putPart(Checkpoints.write(run, id, 0, 1, nonce));
    return commit.publish(id);
  }

  /// Two deletion rounds with a grace between them.
  private void delete(Disk disk) {
    Deletion deletion =
        new Deletion(open(disk, "bbbbbbbb"), clock, "bbbbbbbb", Deletion.AUTOMATIC_GRACE);
    deletion.tick(KeepRules.last(1), Set.of());
    clock.pause(Deletion.AUTOMATIC_GRACE);
    deletion.tick(KeepRules.last(1), Set.of());
  }

  private MemoryDisk withOneCheckpoint() {
    MemoryDisk disk = new MemoryDisk();
    assertThat(save(disk, FIRST, "00000001")).isEqualTo(new Published.Committed());
    return disk;
  }

  private static int operations(FaultyDisk disk) {
    return disk.operations().size();
  }

  /// Everything visible is whole: every file that its manifest names is there, as long as it says.
  private View assertWhole(Disk disk) {
    Run run = open(disk, "cccccccc");
    View view = run.look();
    assertThat(view.damaged()).isEmpty();
    for (CheckpointId id : view.visible()) {
      var manifest = run.manifest(id);
      assertThat(run.parts(manifest)).hasSize(1);
      List<Disk.Entry> entries = run.tier().entries(run.names().checkpoint(id));
      for (var file : manifest.files()) {
        assertThat(entries).contains(new Disk.Entry(file.file(), file.bytes(), Disk.Kind.FILE));
      }
    }
    return view;
  }

  @Test
  void aCrashAtAnyOperationOfASaveLeavesTheOlderCheckpointAndPerhapsTheNewer() {
    FaultyDisk counting = new FaultyDisk(withOneCheckpoint());
    save(counting, SECOND, "00000002");
    for (int n = 1; n <= operations(counting); n++) {
      MemoryDisk memory = withOneCheckpoint();
      FaultyDisk disk = new FaultyDisk(memory).failing(Operation.nth(n), Fault.CRASH);
      assertThatExceptionOfType(FaultyDisk.Crashed.class)
          .isThrownBy(() -> save(disk, SECOND, "00000002"));
      for (long seed = 0; seed < 6; seed++) {
        MemoryDisk left = seed == 0 ? memory.afterCrash() : memory.afterCrash(Seeds.random(seed));
        assertThat(assertWhole(left).visible()).as("crash at %d, seed %d", n, seed).contains(FIRST);
        assertThat(save(left, SECOND, "00000003")).isEqualTo(new Published.Committed());
        assertThat(assertWhole(left).latest()).contains(SECOND);
      }
    }
  }

  @Test
  void whatWasReportedCommittedSurvivesALossOfPower() {
    MemoryDisk memory = new MemoryDisk();
    assertThat(save(memory, FIRST, "00000001")).isEqualTo(new Published.Committed());
    assertThat(assertWhole(memory.afterCrash()).visible()).containsExactly(FIRST);
  }

  @Test
  void aCrashAtAnyOperationOfADeletionIsFinishedByAnotherProcess() {
    FaultyDisk counting = new FaultyDisk(twoCheckpoints());
    delete(counting);
    int operations = operations(counting);
    assertThat(assertWhole(counting).visible()).containsExactly(SECOND);
    for (int n = 1; n <= operations; n++) {
      MemoryDisk memory = twoCheckpoints();
      FaultyDisk disk = new FaultyDisk(memory).failing(Operation.nth(n), Fault.CRASH);
      assertThatExceptionOfType(FaultyDisk.Crashed.class).isThrownBy(() -> delete(disk));
      for (long seed = 0; seed < 6; seed++) {
        MemoryDisk left = seed == 0 ? memory.afterCrash() : memory.afterCrash(Seeds.random(seed));
        assertThat(assertWhole(left).visible())
            .as("crash at %d, seed %d", n, seed)
            .contains(SECOND);
        delete(left);
        assertThat(assertWhole(left).visible()).containsExactly(SECOND);
        assertThat(tier(left, "cccccccc").list("gpt/checkpoints")).containsExactly("1-20");
      }
    }
  }

  private MemoryDisk twoCheckpoints() {
    MemoryDisk disk = withOneCheckpoint();
    save(disk, SECOND, "00000001");
    return disk;
  }

  @ParameterizedTest
  @EnumSource(
      value = Fault.class,
      names = {"NO_SPACE", "QUOTA", "DENIED", "READ_ONLY", "INPUT_OUTPUT"})
  void aDiskThatRefusesFromAnyOperationOnLosesNothingAndSaysWhy(Fault fault) {
    FaultyDisk counting = new FaultyDisk(withOneCheckpoint());
    save(counting, SECOND, "00000002");
    for (int n = 1; n <= operations(counting); n++) {
      MemoryDisk memory = withOneCheckpoint();
      int first = n;
      FaultyDisk disk =
          new FaultyDisk(memory)
              .failing(
                  operation -> operation.number() >= first && operation.act().changes(), fault);
      try {
        save(disk, SECOND, "00000002");
      } catch (KeepstoneException e) {
        assertKind(fault, e);
      } catch (UncheckedIOException e) {
        // Writing the shard: the caller's own.
      }
      assertThat(assertWhole(memory).visible()).as("%s from %d", fault, n).contains(FIRST);
      assertThat(save(memory, SECOND, "00000003")).isEqualTo(new Published.Committed());
    }
  }

  private static void assertKind(Fault fault, KeepstoneException failure) {
    boolean right =
        failure instanceof KeepstoneException.OutcomeUnknown
            || switch (fault) {
              case NO_SPACE, QUOTA -> failure instanceof KeepstoneException.NoSpace;
              case DENIED, READ_ONLY -> failure instanceof KeepstoneException.Denied;
              default -> failure instanceof KeepstoneException.Failed;
            };
    assertThat(right).as("%s became %s", fault, failure).isTrue();
    assertThat(failure.on()).startsWith(ROOT.toString());
  }

  @Test
  void aPutWhoseAnswerWasLostIsDecidedByReading() {
    for (Fault fault : List.of(Fault.DONE_BUT_EXISTS, Fault.DONE_BUT_INPUT_OUTPUT)) {
      FaultyDisk disk = new FaultyDisk(new MemoryDisk()).failing(on(Act.LINK), fault);
      LocalTier tier = tier(disk, "00000001");
      assertThat(tier.put("name", BYTES)).isEqualTo(new Put.Committed());
      assertThat(tier.put("name", new byte[1])).isInstanceOf(Put.Lost.class);
      assertThat(tier.list("gpt")).isEmpty();
    }
  }

  @Test
  void aNameThatStaysFreeIsTriedAgainAndThenUnknown() {
    FaultyDisk disk = new FaultyDisk(new MemoryDisk()).failing(on(Act.LINK), Fault.INPUT_OUTPUT);
    assertThat(tier(disk, "00000001").put("name", BYTES)).isInstanceOf(Put.Unknown.class);
    assertThat(disk.operations())
        .filteredOn(operation -> operation.act() == Act.LINK)
        .hasSizeGreaterThan(3);
    disk.heal();
    assertThat(tier(disk, "00000001").put("name", BYTES)).isEqualTo(new Put.Committed());
  }

  @Test
  void aNameThatCannotBeReadIsUnknown() {
    FaultyDisk disk =
        new FaultyDisk(new MemoryDisk())
            .failing(on(Act.LINK), Fault.DONE_BUT_INPUT_OUTPUT)
            .failing(on(Act.OPEN), Fault.INPUT_OUTPUT);
    assertThat(tier(disk, "00000001").put("name", BYTES)).isInstanceOf(Put.Unknown.class);
    disk.heal();
    assertThat(tier(disk, "00000001").read("name")).contains(BYTES);
  }

  @Test
  void aFileWhoseSyncFailedIsGivenUp() {
    FaultyDisk disk = new FaultyDisk(new MemoryDisk()).failing(on(Act.SYNC), Fault.INPUT_OUTPUT);
    assertThatExceptionOfType(KeepstoneException.Failed.class)
        .isThrownBy(() -> tier(disk, "00000001").put("name", BYTES));
    assertThat(disk.operations()).filteredOn(operation -> operation.act() == Act.SYNC).hasSize(1);
    assertThat(tier(disk, "00000001").root()).isEmpty();
  }

  @Test
  void withoutHardLinksARenameThatNeverReplacesServesAndWithNeitherTheStoreIsRefused()
      throws IOException {
    FaultyDisk linkless = new FaultyDisk(new MemoryDisk()).failing(on(Act.LINK), Fault.UNSUPPORTED);
    assertThat(tier(linkless, "00000001").put("name", BYTES)).isEqualTo(new Put.Committed());
    assertThat(tier(linkless, "00000001").put("name", new byte[1])).isInstanceOf(Put.Lost.class);
    FaultyDisk neither =
        new FaultyDisk(new MemoryDisk())
            .failing(on(Act.LINK), Fault.UNSUPPORTED)
            .failing(on(Act.RENAME), Fault.UNSUPPORTED);
    assertThatExceptionOfType(KeepstoneException.Refused.class)
        .isThrownBy(() -> tier(neither, "00000001").put("name", BYTES))
        .withMessageContaining("neither hard links");
    assertThat(neither.list(ROOT)).isEmpty();
  }

  @Test
  void namesThatLeaveTheStoreAreRefusedBeforeTheyBecomePaths() {
    LocalTier tier = tier(new MemoryDisk(), "00000001");
    for (String name :
        List.of("", "/etc/x", "../x", "a/../b", "a//b", "a/", "./a", "a\0b", ".hidden", "a/.x")) {
      assertThatExceptionOfType(IllegalArgumentException.class)
          .isThrownBy(() -> tier.put(name, BYTES));
      assertThatExceptionOfType(IllegalArgumentException.class).isThrownBy(() -> tier.read(name));
    }
    assertThat(tier.root()).isEmpty();
  }

  private static Predicate<Operation> on(Act act) {
    return operation -> operation.act() == act;
  }
}
