package dev.keepstone.store.deletion;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.MemoryTier;
import dev.keepstone.store.TestClock;
import dev.keepstone.store.TurnsTier;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.hold.Secure;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.object.Wish;
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
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Wishes of people and of rules against those who pin, take back and start, in every order of
/// their steps, and with one of them dying before any of its steps.
final class WishesInEveryOrderTest {
  private static final CheckpointId A = new CheckpointId(1, 1);
  private static final CheckpointId B = new CheckpointId(1, 2);
  private static final int MOST_RUNS = 400_000;
  private static final Wish NAMED = new Wish.Named();
  private static final Wish KEEPING_ONE = new Wish.Rules(KeepRules.last(1).toJson());

  static List<Wish> wishes() {
    return List.of(NAMED, KEEPING_ONE, new Wish.Policy(KeepRules.last(1).toJson()));
  }

  /// Two committed checkpoints of one start.
  private static final class World {
    final MemoryTier tier = new MemoryTier();
    final Run run =
        StoreRoot.openOrMake(tier, new TestClock()).runOrMake("r", new TestClock(), new Random(1));

    World() {
      Starts starts = new Starts(run, new TestClock(), Starts.Check.none());
      starts.decide(starts.join("one", 1, Wanted.LATEST));
      for (CheckpointId id : List.of(A, B)) {
        tier.put(
            run.names().part(id, 0),
            Checkpoints.part(run.uid(), id, 0, 1, Checkpoints.NONCE).encode());
        assertThat(new Commit(run).publish(id)).isEqualTo(new Published.Committed());
      }
    }

    /// With a tomb on A that a deleter left who died.
    static World announced(Wish wish) {
      World world = new World();
      Tomb tomb =
          new Tomb(
              world.run.uid(),
              A,
              1,
              Duration.ZERO,
              wish,
              "test",
              "0000000d",
              new TestClock().instant());
      world.tier.put(world.run.names().tomb(A, 1), tomb.encode());
      return world;
    }

    boolean purged(CheckpointId id) {
      return run.tombs(id).purged(id);
    }

    void look() {
      assertThat(run.look().damaged()).isEmpty();
      assertThat(run.look().latest()).as("the newest is never deleted").contains(B);
    }
  }

  private static Run actor(World world, Turns turns) {
    return StoreRoot.open(new TurnsTier(world.tier, turns)).run("r");
  }

  private static Deletion deletion(Run run) {
    return new Deletion(run, new TestClock(), "0000000c", Duration.ZERO);
  }

  /// Adopts the open tomb and concludes it.
  private static List<DeletionEvent> adopt(World world, Turns turns) {
    Run run = actor(world, turns);
    List<DeletionEvent> events = new ArrayList<>();
    TombsSeen seen = run.tombs(A);
    OptionalInt open = seen.open(A);
    if (open.isPresent()) {
      TombName name = new TombName(A, open.getAsInt());
      deletion(run).conclude(run.tomb(name).stream().toList(), events);
    }
    if (run.tombs(A).purged(A)) {
      Purge.purge(run, A);
    }
    return events;
  }

  /// Announces the wish, waits for as many steps of others as there may be, and concludes it.
  private static List<DeletionEvent> delete(World world, Turns turns, Wish wish) {
    Run run = actor(world, turns);
    TombsSeen seen = run.tombs(A);
    List<DeletionEvent> events = new ArrayList<>();
    if (!seen.purged(A)) {
      deletion(run).announce(seen, A, wish, "test", events);
    }
    events.addAll(adopt(world, turns));
    return events;
  }

  private static boolean pin(World world, Turns turns, CheckpointId id) {
    Run run = actor(world, turns);
    Journal.of(run, new TestClock(), "0000000e", "test")
        .append(List.of(new Fact.Pin(id, true, "")));
    return Secure.secure(run, id);
  }

  private static List<Undo.Undone> undo(World world, Turns turns) {
    Run run = actor(world, turns);
    Author author = Author.of(run, new TestClock(), "0000000f", "test");
    return Undo.undo(run, Undo.open(run.tombs(A), Set.of(A)), author);
  }

  private static void assertAllEnd(List<Outcome> outcomes) {
    outcomes.forEach(outcome -> assertThat(outcome.failure()).as(outcome.actor()).isNull());
  }

  @ParameterizedTest
  @MethodSource("wishes")
  void whatWasPinnedStaysWhoeverWishedItAway(Wish wish) {
    Interleavings.of(World::new, world -> world.tier.fingerprint())
        .invariant(World::look)
        .actor("delete A", (world, turns) -> delete(world, turns, wish))
        .actor("pin A", (world, turns) -> pin(world, turns, A))
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              if (Boolean.TRUE.equals(outcomes.get(1).result())) {
                assertThat(world.purged(A)).as("pinned, and purged").isFalse();
                assertThat(world.run.look().facts().pinned(A)).isTrue();
              }
            });
  }

  @ParameterizedTest
  @MethodSource("wishes")
  void whatWasTakenBackStays(Wish wish) {
    Interleavings.of(() -> World.announced(wish), world -> world.tier.fingerprint())
        .invariant(World::look)
        .actor("delete A", WishesInEveryOrderTest::adopt)
        .actor("undo", WishesInEveryOrderTest::undo)
        .deaths(1)
        .explore(
            MOST_RUNS,
            (world, outcomes) -> {
              assertAllEnd(outcomes);
              if (outcomes.get(1).result() instanceof List<?> undone
                  && undone.contains(new Undo.Undone(new TombName(A, 1), true))) {
                assertThat(world.purged(A)).as("taken back, and purged").isFalse();
              }
            });
  }

  @Test
  void adoptersOfANamedWishEndItOnceAndAStartDecidesWhetherItStands() {
    Interleavings.of(() -> World.announced(NAMED), world -> world.tier.fingerprint())
        .actor("adopt 1", WishesInEveryOrderTest::adopt)
        .actor(
            "start 2 from A",
            (world, turns) -> {
              Starts starts = new Starts(actor(world, turns), new TestClock(), Starts.Check.none());
              try {
                return starts.decide(starts.join("two", 1, new Wanted.Of(A))).parent();
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
                assertThat(world.purged(A)).as("gone on from, and purged").isFalse();
              }
            });
  }

  @Test
  void aPersonsWishIsNotEndedByRulesThatWouldKeepIt() {
    for (Wish wish : wishes()) {
      World world = World.announced(wish);
      Deletion agent = deletion(world.run);
      KeepRules keepingAll = KeepRules.last(9);
      List<DeletionEvent> events = new ArrayList<>(agent.tick(keepingAll, Set.of()));
      boolean byPolicy = wish instanceof Wish.Policy;
      assertThat(world.purged(A)).as(wish.toString()).isEqualTo(!byPolicy);
      assertThat(events)
          .singleElement()
          .isInstanceOf(byPolicy ? DeletionEvent.Spared.class : DeletionEvent.Purged.class);
      assertThat(world.run.look().facts().deletions(A))
          .singleElement()
          .satisfies(told ->
              assertThat(told.fact().act())
                  .isEqualTo(byPolicy ? Fact.Act.RESTORED : Fact.Act.PURGED));
    }
  }

  @Test
  void aWishByRulesThatAreNotKnownIsLeftToWhoKnowsThem() {
    World world = World.announced(new Wish.Rules(Json.object().put("keep_monthly", 3).build()));
    List<DeletionEvent> events = deletion(world.run).tick(KeepRules.last(1), Set.of());
    assertThat(events).singleElement().isInstanceOf(DeletionEvent.Failed.class);
    assertThat(world.run.tombs(A).open(A)).isPresent();
  }
}
