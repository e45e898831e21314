package dev.keepstone.store.torture;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.Copy;
import dev.keepstone.Host;
import dev.keepstone.Import;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.PartOutcome;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.deletion.Ages;
import dev.keepstone.store.deletion.Author;
import dev.keepstone.store.deletion.Deletion;
import dev.keepstone.store.deletion.DeletionEvent;
import dev.keepstone.store.deletion.Garbage;
import dev.keepstone.store.deletion.Undo;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.journal.Snapshots;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.start.Starts;
import dev.keepstone.testkit.FaultyDisk;
import dev.keepstone.testkit.FaultyDisk.Fault;
import dev.keepstone.testkit.MemoryDisk;
import dev.keepstone.testkit.Seeds;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// A disk that is full, over quota, denied, read-only or broken from any operation on, of anything
/// that is done to a store: it is told as what it is, older checkpoints stay whole, and the same
/// works once the disk is well again.
final class RefusalsTest {
  private static final CheckpointId OLD = new CheckpointId(1, 20);
  private static final CheckpointId NEWEST = new CheckpointId(1, 30);
  private static final KeepRules RULES = KeepRules.last(2);
  private static final String REFERENCE = World.ROOT + "/" + World.RUN + "@" + NEWEST;

  /// What is done.
  private enum Doing {
    SAVE,
    DELETE,
    UNDO,
    COLLECT,
    PIN,
    SNAPSHOT,
    IMPORT,
    COPY
  }

  static Stream<Arguments> cases() {
    return Stream.of(Doing.values())
        .flatMap(doing ->
            Stream.of(
                    Fault.NO_SPACE, Fault.QUOTA, Fault.DENIED, Fault.READ_ONLY, Fault.INPUT_OUTPUT)
                .map(fault -> Arguments.of(doing, fault)));
  }

  private static void save(Run run, CheckpointId id, String nonce) {
    Commit commit = new Commit(run);
    PartOutcome part = commit.putPart(Checkpoints.write(run, id, 0, 1, nonce));
    if (part instanceof PartOutcome.Unknown(String why)) {
      throw unknown(why);
    }
    Published published = commit.publish(id);
    if (published instanceof Published.Unknown(String why)) {
      throw unknown(why);
    }
    assertThat(published).isInstanceOf(Published.Committed.class);
  }

  private static KeepstoneException unknown(String why) {
    return new KeepstoneException.OutcomeUnknown(why, World.ROOT.toString(), "try again");
  }

  /// A run with three checkpoints, of which one is announced to go, and what a dead save left.
  private static World world() throws IOException {
    World world = new World(Seeds.random(1), Duration.ZERO);
    Run run = world.open(world.disk(), world.clock());
    Starts starts = new Starts(run, world.clock(), Starts.Check.none());
    starts.decide(starts.join("one", 1, Wanted.LATEST));
    for (long step : new long[] {10, 20, 30}) {
      save(run, new CheckpointId(1, step), "00000001");
    }
    Part left = Checkpoints.write(run, new CheckpointId(1, 40), 0, 2, "00000001");
    new Commit(run).putPart(left);
    CheckpointId first = new CheckpointId(1, 10);
    Tomb tomb =
        new Tomb(
            run.uid(),
            first,
            1,
            Deletion.AUTOMATIC_GRACE,
            new Wish.Named(),
            "named",
            "00000001",
            world.clock().instant());
    run.tier().put(run.names().tomb(first, 1), tomb.encode());
    world.pass(Duration.ofHours(60));
    return world;
  }

  private static void act(Doing doing, World world, Disk disk) throws IOException {
    String nonce = world.nonce();
    Host host = new Host(disk, world.clock(), Seeds.random(Long.parseLong(nonce, 16)));
    Run run = world.open(disk, world.clock());
    Author author = Author.of(run, world.clock(), nonce, "test");
    switch (doing) {
      case SAVE -> save(run, new CheckpointId(1, 50), nonce);
      case DELETE -> {
        Deletion deletion = new Deletion(run, world.clock(), nonce, Deletion.AUTOMATIC_GRACE);
        requireDone(deletion.tick(RULES, Set.of()));
        world.pass(Duration.ofSeconds(100));
        requireDone(deletion.tick(RULES, Set.of()));
      }
      case UNDO -> Undo.undo(run, Undo.open(run.look().tombs(), Set.of()), author);
      case COLLECT -> {
        Ages ages = Ages.ask(run, nonce);
        Deletion deletion =
            new Deletion(run, world.clock(), author, Deletion.AUTOMATIC_GRACE, ages);
        requireDone(deletion.collect(Garbage.find(run, ages)).events());
      }
      case PIN ->
          Journal.of(run, world.clock(), nonce, "test")
              .append(List.of(new Fact.Pin(OLD, true, "why")));
      case SNAPSHOT -> Snapshots.take(run, world.clock());
      case IMPORT ->
          Import.run(
              host,
              World.SOURCE.toString(),
              World.ROOT + "/import-" + nonce,
              Import.Options.DEFAULT,
              Progress.NONE);
      case COPY -> Copy.run(host, REFERENCE, "/data/copy", Progress.NONE);
    }
  }

  private static void requireDone(List<DeletionEvent> events) {
    for (DeletionEvent event : events) {
      switch (event) {
        case DeletionEvent.Failed failed -> throw failed.why();
        case DeletionEvent.Unwritten unwritten -> throw unwritten.why();
        case DeletionEvent.Announced announced -> {}
        case DeletionEvent.Spared spared -> {}
        case DeletionEvent.Purged purged -> {}
        case DeletionEvent.Cleared cleared -> {}
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void aRefusalIsToldLosesNothingAndIsOverWhenItsReasonIs(Doing doing, Fault fault)
      throws IOException {
    World world = world();
    MemoryDisk whole = world.disk();
    FaultyDisk counting = new FaultyDisk(whole.afterCrash());
    act(doing, world, counting);
    int operations = counting.operations().size();
    int step = doing == Doing.IMPORT ? 5 : 1;
    for (int n = 1; n <= operations; n += step) {
      int first = n;
      // All that was put is durable, so that this is a copy.
      MemoryDisk memory = whole.afterCrash();
      FaultyDisk disk =
          new FaultyDisk(memory)
              .failing(
                  operation -> operation.number() >= first && operation.act().changes(), fault);
      try {
        act(doing, world, disk);
      } catch (KeepstoneException e) {
        requireKind(fault, e, doing + " at " + n);
      } catch (UncheckedIOException e) {
        // The test's own writing of a shard.
      }
      Run run = world.open(memory, world.clock());
      assertThat(run.look().visible()).as("%s at %d", doing, n).contains(OLD, NEWEST);
      for (CheckpointId id : List.of(OLD, NEWEST)) {
        assertThat(Promises.problems(run, id, false)).as("%s at %d", id, n).isEmpty();
      }
      act(doing, world, memory);
    }
  }

  private static void requireKind(Fault fault, KeepstoneException failure, String when) {
    boolean right =
        failure instanceof KeepstoneException.OutcomeUnknown
            || switch (fault) {
              case NO_SPACE, QUOTA -> failure instanceof KeepstoneException.NoSpace;
              case DENIED, READ_ONLY -> failure instanceof KeepstoneException.Denied;
              default -> failure instanceof KeepstoneException.Failed;
            };
    assertThat(right).as("%s, %s, became %s", when, fault, failure).isTrue();
    assertThat(failure.on()).as("%s, %s", when, fault).startsWith("/data/");
    assertThat(failure.next()).isNotEmpty();
  }
}
