package dev.keepstone.store.deletion;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.MemoryTier;
import dev.keepstone.store.TestClock;
import dev.keepstone.store.TurnsTier;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.hold.Secure;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.journal.Snapshots;
import dev.keepstone.store.object.End;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.run.TombsSeen;
import dev.keepstone.store.run.View;
import dev.keepstone.store.start.Starts;
import dev.keepstone.testkit.Interleavings;
import dev.keepstone.testkit.Interleavings.Outcome;
import dev.keepstone.testkit.Turns;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/// Facts and snapshots against deleters, each other and readers, in every order of their steps:
/// what is pinned stays, what was acknowledged is seen ever after, what is purged stays purged
/// whatever loose objects are removed.
final class InterleavedFactsTest {
  private static final CheckpointId A = new CheckpointId(1, 1);
  private static final CheckpointId B = new CheckpointId(1, 2);
  private static final int MOST_RUNS = 400_000;

  private static final class World {
    final MemoryTier tier = new MemoryTier();
    final Run run =
        StoreRoot.openOrMake(tier, new TestClock()).runOrMake("r", new TestClock(), new Random(1));
    final TreeSet<Long> acknowledged = new TreeSet<>();
    boolean purged;

    World() {
      Starts starts = new Starts(run, new TestClock(), Starts.Check.none());
      starts.decide(starts.join("one", 1, Wanted.LATEST));
      for (CheckpointId id : List.of(A, B)) {
        Part part = Checkpoints.part(run.uid(), id, 0, 1, Checkpoints.NONCE);
        tier.put(run.names().part(id, 0), part.encode());
        assertThat(new Commit(run).publish(id)).isEqualTo(new Published.Committed());
      }
    }

    /// A is purged, and one snapshot says so.
    static World afterASnapshot() {
      World world = new World();
      byte[] end = new End(world.run.uid(), A, 1, End.Outcome.PURGED).encode();
      world.tier.put(world.run.names().end(A, 1), end);
      Journal.of(world.run, new TestClock(), "0000000a", "").append(List.of(fact(1)));
      world.acknowledged.add(1L);
      Snapshots.take(world.run, new TestClock());
      return world;
    }

    /// A reader that remembers nothing.
    Run fresh() {
      return StoreRoot.open(tier).run("r");
    }

    void holds() {
      View view = fresh().look();
      assertThat(view.damaged()).isEmpty();
      requireSeen(view, acknowledged);
      boolean gone = fresh().tombs(A).purged(A);
      assertThat(purged && !gone).as("purged and back").isFalse();
      purged = gone;
    }

    static void requireSeen(View view, Iterable<Long> facts) {
      for (long step : facts) {
        assertThat(view.facts().durableMs(new CheckpointId(9, step)))
            .as("acknowledged: " + step)
            .isPresent();
      }
    }

    boolean whole(CheckpointId id) {
      return tier.read(run.names().manifest(id)).isPresent()
          && tier.read(run.names().part(id, 0)).isPresent();
    }

    String fingerprint() {
      return tier.fingerprint() + acknowledged + purged;
    }
  }

  private static Fact fact(long step) {
    return new Fact.Durable(new CheckpointId(9, step), step);
  }

  private static Run actor(World world, Turns turns) {
    return StoreRoot.open(new TurnsTier(world.tier, turns, true)).run("r");
  }

  private static String write(World world, Turns turns, String nonce, long... steps) {
    Journal journal = Journal.of(actor(world, turns), new TestClock(), nonce, "");
    for (long step : steps) {
      journal.append(List.of(fact(step)));
      world.acknowledged.add(step);
    }
    return "done";
  }

  private static String snapshot(World world, Turns turns) {
    return Snapshots.take(actor(world, turns), new TestClock()).toString();
  }

  private static String read(World world, Turns turns) {
    Run run = actor(world, turns);
    List<Long> before =
        turns.take("note what is acknowledged", () -> List.copyOf(world.acknowledged));
    World.requireSeen(run.look(), before);
    return "seen";
  }

  private static List<DeletionEvent> delete(World world, Turns turns) {
    Run run = actor(world, turns);
    Deletion deletion = new Deletion(run, new TestClock(), Checkpoints.NONCE, Duration.ZERO);
    List<DeletionEvent> events = new ArrayList<>();
    TombsSeen seen = run.tombs(A);
    if (!seen.purged(A)) {
      Wish wish = new Wish.Policy(KeepRules.last(1).toJson());
      deletion.announce(seen, A, wish, "test", events);
      TombName name = new TombName(A, seen.open(A).orElse(seen.next(A)));
      deletion.conclude(run.tomb(name).stream().toList(), events);
    }
    if (run.tombs(A).purged(A)) {
      Purge.purge(run, A);
    }
    return events;
  }

  private static void assertAllEnd(List<Outcome> outcomes) {
    for (Outcome outcome : outcomes) {
      assertThat(outcome.failure()).as(outcome.actor()).isNull();
    }
  }

  @Test
  void whoWasToldThatAPinHoldsCanRelyOnIt() {
    Interleavings.of(World::new, World::fingerprint)
        .invariant(World::holds)
        .actor("delete A", InterleavedFactsTest::delete)
        .actor(
            "pin A",
            (world, turns) -> {
              Run run = actor(world, turns);
              Journal.of(run, new TestClock(), "0000000b", "")
                  .append(List.of(new Fact.Pin(A, true, "")));
              return Secure.secure(run, A);
            })
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              if (Boolean.TRUE.equals(outcomes.get(1).result())) {
                assertThat(world.whole(A)).as("the pinned checkpoint is whole").isTrue();
                assertThat(world.fresh().tombs(A).purged(A)).isFalse();
              }
            });
  }

  @Test
  void whatIsAcknowledgedIsSeenWhileSnapshotsAreTakenAndNeedlessThingsRemoved() {
    Interleavings.of(World::afterASnapshot, World::fingerprint)
        .invariant(World::holds)
        .actor("write", (world, turns) -> write(world, turns, "0000000b", 2))
        .actor("snapshot 1", InterleavedFactsTest::snapshot)
        .actor("snapshot 2", InterleavedFactsTest::snapshot)
        .explore(MOST_RUNS, (world, outcomes) -> assertAllEnd(outcomes));
  }

  @Test
  void aReaderSeesAllThatWasAcknowledgedBeforeIt() {
    Interleavings.of(World::afterASnapshot, World::fingerprint)
        .invariant(World::holds)
        .actor("write", (world, turns) -> write(world, turns, "0000000b", 2))
        .actor("snapshot", InterleavedFactsTest::snapshot)
        .actor("read", InterleavedFactsTest::read)
        .explore(MOST_RUNS, (world, outcomes) -> assertAllEnd(outcomes));
  }

  @Test
  void whatIsPurgedStaysSoWhileItsTombIsRemovedUnderWhoWantsItKept() {
    Interleavings.of(World::afterASnapshot, World::fingerprint)
        .invariant(World::holds)
        .actor("snapshot", InterleavedFactsTest::snapshot)
        .actor("secure A", (world, turns) -> Secure.secure(actor(world, turns), A))
        .actor("delete A", InterleavedFactsTest::delete)
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              assertThat(outcomes.get(1).result()).isNotEqualTo(true);
            });
  }

  @Test
  void aSnapshotAndADeleterAgreeOnWhatIsPurged() {
    Interleavings.of(World::new, World::fingerprint)
        .invariant(World::holds)
        .actor("snapshot", (world, turns) -> snapshot(world, turns) + snapshot(world, turns))
        .actor("delete A", InterleavedFactsTest::delete)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              assertThat(world.purged).isTrue();
            });
  }
}
