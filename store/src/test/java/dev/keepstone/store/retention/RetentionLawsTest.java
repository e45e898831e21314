package dev.keepstone.store.retention;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.store.fact.Metric;
import dev.keepstone.store.fact.Mode;
import dev.keepstone.store.fact.Stamped;
import dev.keepstone.store.manifest.Manifest.Soundness;
import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.View;
import dev.keepstone.testkit.Seeds;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What no plan may ever do, over random histories: saves, late and missing metrics, numbers that
/// are not finite, verdicts, pins, tags, resumes, rollbacks, run names used again, clocks set back
/// and forth, copies (all of one age), used shards, announced deletions and readers.
final class RetentionLawsTest {
  static LongStream seeds() {
    return Seeds.count(250);
  }

  /// A run, rules for it, and what readers hold.
  private record Scene(String text, KeepRules rules, Map<CheckpointId, String> held) {
    Story story() {
      return Story.of(text);
    }

    Plan plan() {
      return plan(story().view());
    }

    Plan plan(View view) {
      return Retention.plan(view, rules, held);
    }
  }

  private static Scene scene(long seed) {
    Random random = Seeds.random(seed);
    StringBuilder text = new StringBuilder();
    List<String> saved = new ArrayList<>();
    int start = 1;
    long step = 0;
    int count = 1 + random.nextInt(24);
    boolean copied = random.nextInt(8) == 0;
    for (int i = 0; i < count; i++) {
      if (!saved.isEmpty() && random.nextInt(6) == 0) {
        start++;
        boolean fresh = random.nextInt(5) == 0;
        String parent = saved.get(random.nextInt(saved.size()));
        text.append("start ").append(start).append(fresh ? " fresh\n" : " from " + parent + "\n");
        step = fresh ? 0 : CheckpointId.parse(parent).step();
      }
      step += 1 + random.nextInt(700);
      String id = start + "-" + step;
      text.append(id);
      words(random, saved, copied, text);
      text.append('\n');
      saved.add(id);
    }
    Map<CheckpointId, String> held = new HashMap<>();
    for (String id : saved) {
      if (random.nextInt(20) == 0) {
        held.put(CheckpointId.parse(id), "a reader holds it");
      }
    }
    return new Scene(text.toString(), rules(random), held);
  }

  private static void words(Random random, List<String> saved, boolean copied, StringBuilder text) {
    if (random.nextInt(3) > 0) {
      text.append(" loss=").append(random.nextInt(6) == 0 ? "nan" : random.nextInt(8));
    }
    if (random.nextInt(6) == 0) {
      text.append(" report:loss=").append(random.nextInt(5) == 0 ? "inf" : random.nextInt(8));
    }
    for (String word : List.of("suspect", "bad", "verified", "pinned", "timeless", "tomb")) {
      if (random.nextInt(9) == 0) {
        text.append(' ').append(word);
      }
    }
    if (random.nextInt(12) == 0) {
      text.append(" tag:v").append(random.nextInt(3));
    }
    if (copied) {
      text.append(" at:77");
    } else if (random.nextInt(5) == 0) {
      text.append(" at:").append(random.nextInt(2000));
    }
    if (!saved.isEmpty() && random.nextInt(10) == 0) {
      text.append(" uses:").append(saved.get(random.nextInt(saved.size())));
    }
  }

  private static KeepRules rules(Random random) {
    List<String> rules = new ArrayList<>();
    rules.add("keep_last:" + (1 + random.nextInt(4)));
    if (random.nextInt(3) == 0) {
      rules.add("keep_every:['" + (1 + random.nextInt(1000)) + "steps','3h']");
    }
    if (random.nextBoolean()) {
      rules.add("keep_best:" + (1 + random.nextInt(3)) + ",monitor:'loss'");
      rules.add(random.nextBoolean() ? "mode:'min'" : "mode:'max'");
    }
    if (random.nextInt(5) == 0) {
      rules.add("keep_first:true");
    }
    if (random.nextInt(6) == 0) {
      rules.add("keep_since:'2026-11-24T06:00:00Z'");
    }
    return Story.rules(String.join(",", rules));
  }

  private static Set<CheckpointId> deleted(Plan plan) {
    Set<CheckpointId> deleted = new HashSet<>();
    plan.deletions().forEach(entry -> deleted.add(entry.id()));
    return deleted;
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void whatIsNeededIsNeverDeleted(long seed) {
    Scene scene = scene(seed);
    View view = scene.story().view();
    Set<CheckpointId> gone = deleted(scene.plan(view));
    List<CheckpointId> line = view.visible();
    for (CheckpointId id : gone) {
      String on = scene + "\n" + id;
      assertThat(line).as("off the line: " + on).contains(id);
      assertThat(view.facts().pinned(id)).as("pinned: " + on).isFalse();
      assertThat(view.facts().tagsOf(id)).as("tagged: " + on).isEmpty();
      assertThat(scene.held()).as("held: " + on).doesNotContainKey(id);
      view.standing().stream()
          .filter(user -> !user.equals(id))
          .forEach(
              user -> assertThat(view.summary(user).uses()).as("used: " + on).doesNotContain(id));
      Parent parent = view.starts().decided().get(view.starts().newestDecided().orElseThrow());
      assertThat(parent).as("resumed from: " + on).isNotEqualTo(new Parent.Of(id));
    }
    Set<CheckpointId> stay = new HashSet<>(line);
    stay.removeAll(gone);
    assertThat(view.latest().stream().noneMatch(gone::contains)).as("latest: " + scene).isTrue();
    assertThat(view.lastGood().stream().noneMatch(gone::contains)).as("good: " + scene).isTrue();
    // The newest of a kind that no deletion was announced of is there after all deletions.
    newest(line, id -> good(view, id)).ifPresent(id -> assertThat(stay).contains(id));
    newest(line, id -> view.facts().deeplyVerified(id).isPresent() && !view.quarantined(id))
        .ifPresent(id -> assertThat(stay).as("verified: " + scene).contains(id));
    assertThat(stay.stream().filter(id -> view.tombs().open(id).isEmpty()).count())
        .as("newest: " + scene)
        .isGreaterThanOrEqualTo(
            line.stream().anyMatch(id -> view.tombs().open(id).isEmpty()) ? 1 : 0);
    for (CheckpointId id : best(scene, view)) {
      assertThat(stay).as("best: " + scene).contains(id);
    }
  }

  private static Optional<CheckpointId> newest(
      List<CheckpointId> line, Predicate<CheckpointId> kind) {
    return line.reversed().stream().filter(kind).findFirst();
  }

  private static boolean good(View view, CheckpointId id) {
    return !view.quarantined(id) && view.summary(id).health() != Soundness.SUSPECT;
  }

  /// The best by plain sorting of what has no open tomb.
  private static List<CheckpointId> best(Scene scene, View view) {
    if (scene.rules().best().isEmpty()) {
      return List.of();
    }
    Best best = scene.rules().best().get();
    Map<CheckpointId, Double> values = new HashMap<>();
    for (CheckpointId id : view.visible()) {
      double value = Metric.value(view.metrics(id).get("loss")).orElse(Double.NaN);
      if (Double.isFinite(value) && good(view, id) && view.tombs().open(id).isEmpty()) {
        values.put(id, best.mode() == Mode.MIN ? value : -value);
      }
    }
    return values.keySet().stream()
        .sorted(
            Comparator.<CheckpointId, Double>comparing(id -> Objects.requireNonNull(values.get(id)))
                .thenComparing(Comparator.reverseOrder()))
        .limit(best.count())
        .toList();
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void everyCheckpointHasAReasonAndIsInThePlanOnce(long seed) {
    Scene scene = scene(seed);
    Plan plan = scene.plan();
    assertThat(plan.entries()).allSatisfy(entry -> assertThat(entry.reasons()).isNotEmpty());
    assertThat(plan.entries().stream().map(Plan.Entry::id).toList())
        .isEqualTo(scene.story().view().standing());
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void howeverMuchOfAPlanWasDoneTheNextOneSaysTheSameOfTheRest(long seed) {
    Scene scene = scene(seed);
    Random random = Seeds.random(seed + 1);
    List<CheckpointId> gone = new ArrayList<>(deleted(scene.plan()));
    Collections.shuffle(gone, random);
    List<CheckpointId> done = gone.subList(0, random.nextInt(gone.size() + 1));
    // What uses a checkpoint may go first, and then frees it: that is a plan of its own.
    View after = scene.story().without(done).view();
    Set<CheckpointId> rest = new HashSet<>(gone);
    done.forEach(rest::remove);
    boolean used = scene.text().contains("uses:");
    if (used) {
      assertThat(deleted(scene.plan(after))).as(scene.toString()).containsAll(rest);
    } else {
      assertThat(deleted(scene.plan(after))).as(scene.toString()).isEqualTo(rest);
    }
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void theOrderInWhichFactsAreReadChangesNothing(long seed) {
    Scene scene = scene(seed);
    List<Stamped<?>> facts = new ArrayList<>(scene.story().facts());
    Collections.shuffle(facts, Seeds.random(seed));
    facts.addAll(List.copyOf(facts));
    assertThat(scene.plan(scene.story().view(facts))).isEqualTo(scene.plan());
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void aRuleMoreNeverDeletesMore(long seed) {
    Scene scene = scene(seed);
    KeepRules rules = scene.rules();
    KeepRules fewer =
        new KeepRules(rules.keepLast(), List.of(), Optional.empty(), false, Optional.empty());
    assertThat(deleted(Retention.plan(scene.story().view(), fewer, scene.held())))
        .containsAll(deleted(scene.plan()));
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void whatTheRulesDeleteMayBeNamedToo(long seed) {
    Scene scene = scene(seed);
    View view = scene.story().view();
    Set<CheckpointId> gone = deleted(scene.plan());
    assertThat(deleted(Retention.planNamed(view, gone, scene.held()))).isEqualTo(gone);
  }
}
