package dev.keepstone.store.deletion;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.MemoryTier;
import dev.keepstone.store.TestClock;
import dev.keepstone.store.TurnsTier;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.hold.ReaderHold;
import dev.keepstone.store.object.Decision;
import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.run.TombsSeen;
import dev.keepstone.store.run.View;
import dev.keepstone.store.start.Started;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.Tier;
import dev.keepstone.testkit.Interleavings;
import dev.keepstone.testkit.Interleavings.Outcome;
import dev.keepstone.testkit.Turns;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/// The real protocols, two or three actors at a time, in every order of their steps, and with one
/// of them dying before any of its steps. The properties are those the protocol was designed by:
/// (a) what was reported committed stays whole and on the line, (b) all ranks of a start go on from
/// the same checkpoint, (c) latest never goes back but by a rollback, (d) nothing needed is purged,
/// (e) what is purged stays invisible, (f) every actor comes to an end, (g) what may go does go,
/// (h) who was told that an attempt is over can rely on it.
@Execution(ExecutionMode.CONCURRENT)
final class InterleavedProtocolsTest {
  private static final CheckpointId A = new CheckpointId(1, 1);
  private static final CheckpointId B = new CheckpointId(1, 2);
  private static final int MOST_RUNS = 400_000;

  /// What the actors share, and what was seen of it so far.
  private static final class World {
    final MemoryTier tier;
    final Run run;
    final Set<CheckpointId> purged = new HashSet<>();
    final Set<CheckpointId> held = new HashSet<>();
    @Nullable CheckpointId latest;
    boolean rollback;

    private World(MemoryTier tier) {
      this.tier = tier;
      this.run =
          StoreRoot.openOrMake(tier, new TestClock())
              .runOrMake("r", new TestClock(), new Random(1));
    }

    /// The same world once more: every order begins in one, and making it costs as much as living
    /// in it.
    World again() {
      World again = new World(tier.copy());
      again.purged.addAll(purged);
      again.held.addAll(held);
      again.latest = latest;
      again.rollback = rollback;
      return again;
    }

    /// Start 1 is decided; these checkpoints are committed, those have all their parts.
    static World of(List<CheckpointId> committed, List<CheckpointId> complete) {
      World world = new World(new MemoryTier());
      Starts starts = new Starts(world.run, new TestClock(), Starts.Check.none());
      starts.decide(starts.join("one", 1, Wanted.LATEST));
      complete.forEach(world::part);
      for (CheckpointId id : committed) {
        world.part(id);
        assertThat(new Commit(world.run).publish(id)).isEqualTo(new Published.Committed());
      }
      world.look();
      return world;
    }

    World rollingBack() {
      rollback = true;
      return this;
    }

    void part(CheckpointId id) {
      Part part = Checkpoints.part(run.uid(), id, 0, 1, Checkpoints.NONCE);
      tier.put(run.names().part(id, 0), part.encode());
    }

    String fingerprint() {
      return tier.fingerprint() + purged + held + latest;
    }

    boolean whole(CheckpointId id) {
      return tier.read(run.names().manifest(id)).isPresent()
          && tier.read(run.names().part(id, 0)).isPresent();
    }

    boolean isPurged(CheckpointId id) {
      return run.tombs(id).purged(id);
    }

    /// What must hold at every moment: c, d and e.
    void look() {
      View view = run.look();
      assertThat(view.damaged()).isEmpty();
      for (CheckpointId id : List.of(A, B, new CheckpointId(2, 3))) {
        boolean gone = isPurged(id);
        if (gone && purged.add(id)) {
          OptionalInt newest = view.starts().newestDecided();
          assertThat(view.starts().decided().get(newest.orElseThrow()))
              .as("d: parent of the newest start is purged")
              .isNotEqualTo(new Parent.Of(id));
          assertThat(held).as("d: held is purged").doesNotContain(id);
          assertThat(id).as("d: newest on the line is purged").isNotEqualTo(latest);
        }
        assertThat(!gone && purged.contains(id)).as("e: purged and back: " + id).isFalse();
      }
      if (!view.undecided()) {
        CheckpointId now = view.latest().orElse(null);
        if (now != null) {
          assertThat(whole(now)).as("c: latest is whole").isTrue();
        }
        if (latest != null && !rollback) {
          assertThat(now).as("c: latest went back from " + latest).isNotNull();
          assertThat(view.visible().indexOf(now))
              .as("c: latest went back from " + latest)
              .isGreaterThanOrEqualTo(view.visible().indexOf(latest));
          assertThat(view.starts().line().has(latest)).as("c: latest off the line").isTrue();
        }
        latest = now;
      }
    }

    /// a and h: what was said of a checkpoint is so.
    void checkTold(List<Outcome> outcomes, CheckpointId id) {
      View view = run.look();
      for (Outcome outcome : outcomes) {
        if (outcome.result() instanceof Published.Committed) {
          assertThat(whole(id) || isPurged(id)).as("a: committed, but not whole").isTrue();
          if (!view.undecided() && !isPurged(id) && !rollback) {
            assertThat(view.visible()).as("a: committed, but not visible").contains(id);
          }
        }
        if (outcome.result() instanceof Published.Lost) {
          assertThat(view.visible()).as("h: told lost, yet visible").doesNotContain(id);
        }
        if (outcome.result() instanceof Published.Fenced && !view.undecided()) {
          assertThat(view.visible()).as("told fenced, yet visible").doesNotContain(id);
        }
      }
    }
  }

  private static Run actor(World world, Turns turns) {
    Tier tier = new TurnsTier(world.tier, turns);
    return StoreRoot.open(tier).run("r");
  }

  private static Interleavings<World> meeting(
      List<CheckpointId> committed, List<CheckpointId> complete) {
    return meeting(World.of(committed, complete));
  }

  private static Interleavings<World> meeting(World world) {
    return Interleavings.of(world::again, World::fingerprint).invariant(World::look);
  }

  private static Published commit(World world, Turns turns, CheckpointId id) {
    return new Commit(actor(world, turns)).publish(id);
  }

  /// Puts the part and publishes: a start that looks between the two finds the attempt complete and
  /// finishes it, one that looks before the part goes on without it.
  private static Published save(World world, Turns turns, CheckpointId id) {
    Run run = actor(world, turns);
    Commit commit = new Commit(run);
    commit.putPart(Checkpoints.part(run.uid(), id, 0, 1, Checkpoints.NONCE));
    return commit.publish(id);
  }

  private static Started start(World world, Turns turns, String token, Wanted wanted) {
    Starts starts = new Starts(actor(world, turns), new TestClock(), Starts.Check.none());
    Start joined = starts.join(token, 1, wanted);
    return starts.decide(joined);
  }

  /// Announces the deletion of one checkpoint, or adopts an open tomb, and concludes it at once: a
  /// grace that any number of steps of others fit into, or none.
  private static List<DeletionEvent> delete(World world, Turns turns, CheckpointId id) {
    return delete(world, turns, id, new Wish.Policy(KeepRules.last(1).toJson()));
  }

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

  private static void assertAllEnd(List<Outcome> outcomes) {
    for (Outcome outcome : outcomes) {
      assertThat(outcome.failure()).as("f: " + outcome.actor()).isNull();
    }
  }

  @Test
  void twoCommittersOfOneCheckpointPublishTheSame() {
    meeting(List.of(A), List.of(B))
        .actor("commit 1", (world, turns) -> commit(world, turns, B))
        .actor("commit 2", (world, turns) -> commit(world, turns, B))
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              world.checkTold(outcomes, B);
              for (Outcome outcome : outcomes) {
                assertThat(outcome.died() || outcome.result() instanceof Published.Committed)
                    .isTrue();
              }
            });
  }

  @Test
  void aNewStartEitherGoesOnFromAReportedCheckpointOrFencesItsCommitter() {
    meeting(List.of(A), List.of())
        .actor("save", (world, turns) -> save(world, turns, B))
        .actor("start 2", (world, turns) -> start(world, turns, "two", Wanted.LATEST))
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              world.checkTold(outcomes, B);
            });
  }

  @Test
  void twoRanksOfOneStartGoOnFromTheSameCheckpoint() {
    meeting(List.of(A), List.of())
        .actor("save", (world, turns) -> save(world, turns, B))
        .actor("rank 0", (world, turns) -> start(world, turns, "two", Wanted.LATEST))
        .actor("rank 1", (world, turns) -> start(world, turns, "two", Wanted.LATEST))
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              world.checkTold(outcomes, B);
              assertThat(outcomes.get(1).result())
                  .as("b: ranks of one start")
                  .isEqualTo(outcomes.get(2).result());
            });
  }

  @Test
  void twoStartsFollowOneAnother() {
    meeting(List.of(A), List.of())
        .actor("start 2", (world, turns) -> start(world, turns, "two", Wanted.LATEST))
        .actor("start 3", (world, turns) -> start(world, turns, "three", Wanted.LATEST))
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              assertThat(world.run.look().undecided() || world.run.look().latest().isPresent())
                  .isTrue();
            });
  }

  @Test
  void aDeleterSparesWhatANewStartGoesOnFrom() {
    meeting(World.of(List.of(A, B), List.of()).rollingBack())
        .actor("delete A", (world, turns) -> delete(world, turns, A))
        .actor(
            "start 2",
            (world, turns) -> {
              try {
                return start(world, turns, "two", new Wanted.Of(A)).parent();
              } catch (KeepstoneException.NotFound e) {
                return "void";
              }
            })
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              if (Optional.of(A).equals(outcomes.get(1).result())) {
                assertThat(world.whole(A)).as("a: the parent is whole").isTrue();
                assertThat(world.isPurged(A)).isFalse();
              }
            });
  }

  @Test
  void aDeleterSparesWhatAReaderHolds() {
    meeting(List.of(A, B), List.of())
        .actor("delete A", (world, turns) -> delete(world, turns, A))
        .actor(
            "reader",
            (world, turns) -> {
              Run run = actor(world, turns);
              ReaderHold hold;
              try {
                hold = ReaderHold.take(run, A, "00000001");
              } catch (KeepstoneException.NotFound e) {
                return "purged";
              }
              world.held.add(A);
              String found = turns.take("read A", () -> world.whole(A) ? "whole" : "torn");
              world.held.remove(A);
              hold.close();
              return found;
            })
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              assertThat(outcomes.get(1).result()).as("d: read under a hold").isNotEqualTo("torn");
            });
  }

  @Test
  void twoDeletersOfTwoCheckpointsLeaveOne() {
    meeting(List.of(A, B), List.of())
        .actor("delete A", (world, turns) -> delete(world, turns, A))
        .actor("delete B", (world, turns) -> delete(world, turns, B))
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              assertThat(world.whole(A) || world.whole(B)).isTrue();
              assertThat(world.run.look().visible()).isNotEmpty();
            });
  }

  @Test
  void twoDeletersOfOneCheckpointRemoveItWhole() {
    meeting(List.of(A, B), List.of())
        .actor("delete 1", (world, turns) -> delete(world, turns, A))
        .actor("delete 2", (world, turns) -> delete(world, turns, A))
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              assertThat(world.isPurged(A)).as("g: not collected").isTrue();
              if (outcomes.stream().noneMatch(Outcome::died)) {
                assertThat(world.whole(A)).isFalse();
                assertThat(world.run.leftovers()).isEmpty();
              }
            });
  }

  @Test
  void aSlowCommitterAndTheCollectionOfItsAttemptAgree() {
    meeting(List.of(A), List.of(B))
        .actor("commit", (world, turns) -> commit(world, turns, B))
        .actor("collect B", (world, turns) -> delete(world, turns, B))
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              world.checkTold(outcomes, B);
            });
  }

  @Test
  void aSlowCommitterOffTheLineAndTheCollectionOfItsAttemptAgree() {
    World offTheLine = World.of(List.of(A), List.of(B));
    Starts starts = new Starts(offTheLine.run, new TestClock(), Starts.Check.none());
    Start two = starts.join("two", 1, new Wanted.Of(A));
    Decision decision = new Decision(offTheLine.run.uid(), 2, new Parent.Of(A));
    offTheLine.tier.put(offTheLine.run.names().parent(two.number()), decision.encode());
    meeting(offTheLine)
        .actor("commit", (world, turns) -> commit(world, turns, B))
        .actor("collect B", (world, turns) -> delete(world, turns, B))
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              world.checkTold(outcomes, B);
            });
  }
}
