package dev.keepstone.store.deletion;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.MemoryTier;
import dev.keepstone.store.TestClock;
import dev.keepstone.store.TurnsTier;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.run.TombsSeen;
import dev.keepstone.store.start.Starts;
import dev.keepstone.testkit.Interleavings;
import dev.keepstone.testkit.Interleavings.Outcome;
import dev.keepstone.testkit.Turns;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// A committer that uses another checkpoint's shard and those who delete that other one, in every
/// order of their steps, and with one of them dying before any of its steps: what stands is whole.
final class SharedShardsInEveryOrderTest {
  private static final CheckpointId OWNER = new CheckpointId(1, 1);
  private static final CheckpointId NEWER = new CheckpointId(1, 2);
  private static final CheckpointId USER = new CheckpointId(1, 3);
  private static final Wish BY_HAND = new Wish.Named();
  private static final Wish BY_RULES = new Wish.Policy(KeepRules.last(1).toJson());
  private static final int MOST_RUNS = 400_000;

  private static final class World {
    final MemoryTier tier = new MemoryTier();
    final Run run =
        StoreRoot.openOrMake(tier, new TestClock()).runOrMake("r", new TestClock(), new Random(1));

    World() {
      Starts starts = new Starts(run, new TestClock(), Starts.Check.none());
      starts.decide(starts.join("one", 1, Wanted.LATEST));
      for (CheckpointId id : List.of(OWNER, NEWER)) {
        tier.put(run.names().part(id, 0), own(id).encode());
        assertThat(new Commit(run).publish(id)).isEqualTo(new Published.Committed());
      }
    }

    /// With a user that is committed.
    static World withUser() {
      World world = new World();
      world.tier.put(world.run.names().part(USER, 0), world.using().encode());
      assertThat(new Commit(world.run).publish(USER)).isEqualTo(new Published.Committed());
      return world;
    }

    private Part own(CheckpointId id) {
      return Checkpoints.part(run.uid(), id, 0, 1, Checkpoints.NONCE);
    }

    Part using() {
      Part own = own(USER);
      return new Part(
          own.uid(),
          own.id(),
          own.rank(),
          own.world(),
          own.nonce(),
          own.metrics(),
          List.of(own(OWNER).shards().getFirst().usedFrom(OWNER)),
          own.state(),
          own.extra(),
          own.provenance(),
          own.sealed(),
          own.stallMs());
    }

    boolean purged(CheckpointId id) {
      return run.tombs(id).purged(id);
    }

    void look() {
      if (run.look().standing().contains(USER)) {
        assertThat(purged(OWNER)).as("what a checkpoint that stands uses is purged").isFalse();
      }
    }
  }

  private static Run actor(World world, Turns turns) {
    return StoreRoot.open(new TurnsTier(world.tier, turns)).run("r");
  }

  private static Published save(World world, Turns turns) {
    Commit commit = new Commit(actor(world, turns));
    commit.putPart(world.using());
    return commit.publish(USER);
  }

  /// Announces and concludes at once: a grace that any number of steps of others fit into, or none.
  private static List<DeletionEvent> delete(World world, Turns turns, CheckpointId id, Wish wish) {
    Run run = actor(world, turns);
    Deletion deletion = new Deletion(run, new TestClock(), Checkpoints.NONCE, Duration.ZERO);
    List<DeletionEvent> events = new ArrayList<>();
    TombsSeen seen = run.tombs(id);
    if (!seen.purged(id)) {
      deletion.announce(seen, id, wish, "test", events);
      TombName name = new TombName(id, seen.open(id).orElse(seen.next(id)));
      for (int round = 0; round < 3 && run.tombs(id).open(id).isPresent(); round++) {
        deletion.conclude(run.tomb(name).stream().toList(), events);
      }
    }
    if (run.tombs(id).purged(id)) {
      Purge.purge(run, id);
    }
    return events;
  }

  private static void checkTold(World world, List<Outcome> outcomes) {
    for (Outcome outcome : outcomes) {
      assertThat(outcome.failure()).as(outcome.actor()).isNull();
      if (outcome.result() instanceof Published.Committed && !world.purged(USER)) {
        assertThat(world.run.look().visible()).contains(USER);
        assertThat(world.tier.read(world.run.names().part(OWNER, 0))).isPresent();
      }
      if (outcome.result() instanceof Published.Lost) {
        assertThat(world.purged(OWNER)).as("lost, though what it uses is there").isTrue();
        assertThat(world.run.look().visible()).doesNotContain(USER);
      }
    }
  }

  private static Interleavings<World> explore(Interleavings<World> meeting) {
    return meeting.invariant(World::look);
  }

  private static String fingerprint(World world) {
    return world.tier.fingerprint();
  }

  @Test
  void aCommitterFindsItsOwnerWholeOrIsToldThatItIsGone() {
    for (Wish wish : List.of(BY_HAND, BY_RULES)) {
      explore(Interleavings.of(World::new, SharedShardsInEveryOrderTest::fingerprint))
          .actor("save", SharedShardsInEveryOrderTest::save)
          .actor("delete the owner", (world, turns) -> delete(world, turns, OWNER, wish))
          .deaths(1)
          .explore(MOST_RUNS, SharedShardsInEveryOrderTest::checkTold);
    }
  }

  @Test
  void anOwnerGoesNoEarlierThanItsLastUser() {
    explore(Interleavings.of(World::withUser, SharedShardsInEveryOrderTest::fingerprint))
        .actor("delete the user", (world, turns) -> delete(world, turns, USER, BY_HAND))
        .actor("delete the owner", (world, turns) -> delete(world, turns, OWNER, BY_HAND))
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              checkTold(world, outcomes);
              if (world.purged(OWNER)) {
                assertThat(world.purged(USER)).isTrue();
              }
            });
  }
}
