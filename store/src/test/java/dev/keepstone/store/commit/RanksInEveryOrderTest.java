package dev.keepstone.store.commit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.MemoryTier;
import dev.keepstone.store.TestClock;
import dev.keepstone.store.TurnsTier;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.start.Starts;
import dev.keepstone.testkit.Interleavings;
import dev.keepstone.testkit.Interleavings.Outcome;
import dev.keepstone.testkit.Turns;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

/// A rank that is out of patience refuses for another one, which comes just then, in every order of
/// their steps, and with one of them dying: both are told the same, and no checkpoint stands that
/// somebody was told is none.
final class RanksInEveryOrderTest {
  private static final CheckpointId ID = new CheckpointId(1, 1);
  private static final int WORLD = 2;
  private static final String OTHER_NONCE = "8d2e13bb";
  private static final int MOST_RUNS = 400_000;

  private static final class World {
    final MemoryTier tier = new MemoryTier();
    final Run run =
        StoreRoot.openOrMake(tier, new TestClock()).runOrMake("r", new TestClock(), new Random(1));

    World() {
      Starts starts = new Starts(run, new TestClock(), Starts.Check.none());
      starts.decide(starts.join("one", WORLD, Wanted.LATEST));
    }

    boolean refused() {
      return run.part(ID, 1).filter(Refusal.class::isInstance).isPresent();
    }

    void look() {
      if (run.findManifest(ID).isPresent()) {
        assertThat(refused()).as("a refused attempt is committed").isFalse();
        assertThat(new Commit(run).refusal(ID)).as("told as refused").isEmpty();
      }
    }
  }

  private static Commit commit(World world, Turns turns) {
    return new Commit(StoreRoot.open(new TurnsTier(world.tier, turns)).run("r"));
  }

  private static Published impatient(World world, Turns turns) {
    Commit commit = commit(world, turns);
    String uid = world.run.uid();
    commit.putPart(Checkpoints.part(uid, ID, 0, WORLD, Checkpoints.NONCE));
    Published published = commit.publish(ID, WORLD);
    if (published instanceof Published.Incomplete) {
      commit.putPart(
          new Refusal(uid, ID, 1, WORLD, Checkpoints.NONCE, Refusal.Why.TIMEOUT, "late"));
      published = commit.publish(ID, WORLD);
    }
    return published;
  }

  private static Published late(World world, Turns turns) {
    Commit commit = commit(world, turns);
    commit.putPart(Checkpoints.part(world.run.uid(), ID, 1, WORLD, OTHER_NONCE));
    return commit.ended(ID).orElseGet(() -> commit.publish(ID, WORLD));
  }

  private static void agree(World world, List<Outcome> outcomes) {
    Set<Class<?>> told = new HashSet<>();
    for (Outcome outcome : outcomes) {
      assertThat(outcome.failure()).as(outcome.actor()).isNull();
      Optional.ofNullable(outcome.result()).map(Object::getClass).ifPresent(told::add);
    }
    // Who came first may know of nothing yet, and asks again.
    told.remove(Published.Incomplete.class);
    assertThat(told).hasSizeLessThanOrEqualTo(1);
    Published now = new Commit(world.run).publish(ID, WORLD);
    if (!told.isEmpty()) {
      assertThat(now.getClass()).isEqualTo(told.iterator().next());
    }
  }

  @Test
  void aRankOutOfPatienceAndTheOneItWaitsForComeToOneOutcome() {
    Interleavings.Explored explored =
        Interleavings.of(World::new, (World world) -> world.tier.fingerprint())
            .invariant(World::look)
            .actor("impatient", RanksInEveryOrderTest::impatient)
            .actor("late", RanksInEveryOrderTest::late)
            .deaths(1)
            .explore(MOST_RUNS, RanksInEveryOrderTest::agree);
    assertThat(explored.ends()).isGreaterThan(10);
  }
}
