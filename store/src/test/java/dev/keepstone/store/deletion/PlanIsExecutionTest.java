package dev.keepstone.store.deletion;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.MemoryTier;
import dev.keepstone.store.TestClock;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.fact.Mode;
import dev.keepstone.store.hold.ReaderHold;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.journal.Snapshots;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.Best;
import dev.keepstone.store.retention.Every;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.retention.Plan;
import dev.keepstone.store.retention.Retention;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.run.View;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.Tier;
import dev.keepstone.testkit.Seeds;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Random histories through the real store: the plan is what is done, doing it again does nothing,
/// a copy under another name has the same plan, and what is not ours is not touched.
final class PlanIsExecutionTest {
  private static final String NONCE = "0000000c";

  private final MemoryTier tier = new MemoryTier();
  private final TestClock clock = new TestClock();
  private final List<CheckpointId> saved = new ArrayList<>();

  static LongStream seeds() {
    return Seeds.count(60);
  }

  private Run history(Random random) {
    Run run = StoreRoot.openOrMake(tier, clock).runOrMake("gpt", clock, random);
    Starts starts = new Starts(run, clock, Starts.Check.none());
    Journal journal = Journal.of(run, clock, "0000000a", "test");
    int start = starts.decide(starts.join("first", 1, Wanted.LATEST)).start();
    long step = 0;
    int count = 3 + random.nextInt(12);
    for (int i = 0; i < count; i++) {
      if (!saved.isEmpty() && random.nextInt(5) == 0) {
        CheckpointId parent = saved.get(random.nextInt(saved.size()));
        boolean fresh = random.nextInt(4) == 0;
        Wanted wanted = fresh ? Wanted.FRESH : new Wanted.Of(parent);
        start = starts.decide(starts.join("start " + i, 1, wanted)).start();
        step = fresh ? 0 : parent.step();
      }
      step += 1 + random.nextInt(40);
      CheckpointId id = new CheckpointId(start, step);
      Commit commit = new Commit(run);
      commit.putPart(Checkpoints.part(run.uid(), id, 0, 1, Checkpoints.NONCE));
      commit.publish(id);
      saved.add(id);
      List<Fact> facts = facts(random, id);
      if (!facts.isEmpty()) {
        journal.append(facts);
      }
      if (random.nextInt(8) == 0) {
        Snapshots.take(run, clock);
      }
    }
    return run;
  }

  private static List<Fact> facts(Random random, CheckpointId id) {
    List<Fact> facts = new ArrayList<>();
    if (random.nextInt(2) == 0) {
      facts.add(new Fact.Metrics(id, Json.object().put("val", random.nextInt(9)).build()));
    }
    if (random.nextInt(8) == 0) {
      facts.add(new Fact.Pin(id, random.nextInt(3) > 0, "random"));
    }
    if (random.nextInt(8) == 0) {
      facts.add(new Fact.Tag("v" + random.nextInt(2), Optional.of(id)));
    }
    if (random.nextInt(6) == 0) {
      facts.add(new Fact.Verdict(id, true, random.nextBoolean(), "random"));
    }
    return facts;
  }

  private static KeepRules rules(Random random) {
    return new KeepRules(
        OptionalInt.of(1 + random.nextInt(3)),
        random.nextBoolean() ? List.of(new Every.Steps(50)) : List.of(),
        random.nextBoolean()
            ? Optional.of(new Best(1 + random.nextInt(2), "val", Mode.MAX))
            : Optional.empty(),
        random.nextInt(4) == 0,
        Optional.empty());
  }

  private static Set<CheckpointId> ids(Plan plan, Plan.Action action) {
    return plan.entries().stream()
        .filter(entry -> entry.action() == action)
        .map(Plan.Entry::id)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void whatThePlanSaysIsDoneAndNothingElse(long seed) {
    Random random = Seeds.random(seed);
    Run run = history(random);
    KeepRules rules = rules(random);
    CheckpointId read = saved.get(random.nextInt(saved.size()));
    ReaderHold hold = ReaderHold.take(run, read, "0000000b");
    List<String> foreign = List.of("gpt/manifests/README", "gpt/checkpoints/" + read + "/mine");
    foreign.forEach(name -> tier.put(name, new byte[] {1}));

    Deletion deletion = new Deletion(run, clock, NONCE, Duration.ofSeconds(90));
    Plan plan = Retention.plan(run.look(), rules, deletion.held());
    assertThat(ids(plan, Plan.Action.KEEP)).contains(read);
    deletion.announce(plan, new Wish.Rules(rules.toJson()));
    for (int i = 0; i < 4; i++) {
      clock.pause(Duration.ofSeconds(30));
      hold.renew();
      deletion.round(ids(plan, Plan.Action.DELETE));
    }
    View after = run.look();
    assertThat(new TreeSet<>(after.standing())).isEqualTo(ids(plan, Plan.Action.KEEP));
    for (CheckpointId gone : ids(plan, Plan.Action.DELETE)) {
      assertThat(run.tombs(gone).purged(gone)).isTrue();
      assertThat(after.facts().deletions(gone)).hasSize(2);
    }
    assertThat(Retention.plan(after, rules, deletion.held()).deletions()).isEmpty();
    foreign.forEach(name -> assertThat(tier.read(name)).isPresent());
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void aCopyUnderAnotherNameHasTheSamePlan(long seed) {
    Random random = Seeds.random(seed);
    Run run = history(random);
    KeepRules rules = rules(random);
    MemoryTier elsewhere = new MemoryTier();
    copy(tier, "keepstone.json", elsewhere, "keepstone.json");
    copyAll("gpt", elsewhere, "renamed");
    Run copied = StoreRoot.open(elsewhere).run("renamed");
    assertThat(Retention.plan(copied.look(), rules, Map.of()))
        .isEqualTo(Retention.plan(run.look(), rules, Map.of()));
    assertThat(copied.look().latest()).isEqualTo(run.look().latest());
    assertThat(copied.look().best("val", Mode.MAX)).isEqualTo(run.look().best("val", Mode.MAX));
  }

  private void copyAll(String directory, Tier to, String name) {
    for (Disk.Entry entry : tier.entries(directory)) {
      String from = directory + "/" + entry.name();
      if (entry.kind() == Disk.Kind.DIRECTORY) {
        copyAll(from, to, name + "/" + entry.name());
      } else {
        copy(tier, from, to, name + "/" + entry.name());
      }
    }
  }

  private static void copy(Tier from, String name, Tier to, String copy) {
    to.put(copy, from.read(name).orElseThrow());
  }
}
