package dev.keepstone.store.retention;

import dev.keepstone.store.fact.Mode;
import dev.keepstone.store.reference.CheckpointId;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;

/// Applies each rule to the candidates.
///
/// Every rule is so made that taking away what no rule keeps changes nothing of what it says of the
/// rest: a second plan after the first one's deletions deletes nothing. Checkpoints with open tombs
/// are judged like all others and count for none of them.
final class Rules {
  private static final int MOST_NAMES = 20;

  private final Candidates candidates;
  private final Judgement judgement;
  private final Set<CheckpointId> timeless = new LinkedHashSet<>();

  private Rules(Candidates candidates, Judgement judgement) {
    this.candidates = candidates;
    this.judgement = judgement;
  }

  static Judgement judge(Candidates candidates, KeepRules rules) {
    Rules all = new Rules(candidates, new Judgement());
    all.last(rules);
    if (rules.first() && !candidates.ids().isEmpty()) {
      all.judgement.keep(candidates.ids().getFirst(), "first");
    }
    for (Every every : rules.every()) {
      switch (every) {
        case Every.Steps(long count) -> all.steps(count, every.words());
        case Every.Time(Duration gap) -> all.time(gap, every.words());
      }
    }
    rules.best().ifPresent(all::best);
    rules.since().ifPresent(all::since);
    all.timeless();
    return all.judgement;
  }

  /// The best alone.
  static Judgement judge(Candidates candidates, Best best) {
    Rules one = new Rules(candidates, new Judgement());
    one.best(best);
    return one.judgement;
  }

  private void last(KeepRules rules) {
    String words = rules.lastWords();
    int newer = 0;
    for (CheckpointId id : candidates.ids().reversed()) {
      if (rules.keepLast().isEmpty() || newer < rules.keepLast().getAsInt()) {
        judgement.keep(id, words);
      } else {
        judgement.pass(id, "not of the " + words);
      }
      if (candidates.stays(id) && !candidates.quarantined(id)) {
        newer++;
      }
    }
  }

  /// The first one at or after each multiple. A step that comes again after a rollback is another
  /// checkpoint: one stands for those of higher steps only.
  private void steps(long count, String words) {
    Map<Long, CheckpointId> standing = new HashMap<>();
    Map<Long, CheckpointId> good = new HashMap<>();
    for (CheckpointId id : candidates.ids()) {
      long multiple = id.step() / count;
      CheckpointId rival = (candidates.good(id) ? good : standing).get(multiple);
      if (multiple == 0) {
        judgement.pass(id, "before the first of " + words);
      } else if (rival != null && rival.step() < id.step()) {
        judgement.pass(id, rival + " stands for step " + multiple * count);
      } else {
        judgement.keep(id, words);
        if (candidates.stays(id)) {
          standing.put(multiple, id);
          if (candidates.good(id)) {
            good.put(multiple, id);
          }
        }
      }
    }
  }

  /// Greedy from the oldest on. A time before that of the last one kept tells that a clock was set
  /// back; how long after it that one was saved is not known, so it is kept.
  private void time(Duration gap, String words) {
    CheckpointId standing = null;
    CheckpointId good = null;
    for (CheckpointId id : candidates.ids()) {
      Optional<Instant> at = candidates.created(id);
      if (at.isEmpty()) {
        timeless.add(id);
        continue;
      }
      CheckpointId rival = candidates.good(id) ? good : standing;
      if (rival != null && within(gap, candidates.created(rival).orElseThrow(), at.get())) {
        judgement.pass(id, rival + " stands for " + words);
        continue;
      }
      judgement.keep(id, words);
      if (candidates.stays(id)) {
        standing = id;
        good = candidates.good(id) ? id : good;
      }
    }
  }

  private static boolean within(Duration gap, Instant from, Instant at) {
    return !at.isBefore(from) && at.isBefore(from.plus(gap));
  }

  private void since(Instant moment) {
    for (CheckpointId id : candidates.ids()) {
      Optional<Instant> at = candidates.created(id);
      if (at.isEmpty()) {
        timeless.add(id);
      } else if (at.get().isBefore(moment)) {
        judgement.pass(id, "saved before " + moment);
      } else {
        judgement.keep(id, "saved since " + moment);
      }
    }
  }

  /// Where nothing else keeps them, a rule of time would decide, and what it would say of these is
  /// not known.
  private void timeless() {
    for (CheckpointId id : timeless) {
      if (judgement.kept(id).isEmpty()) {
        judgement.keep(id, "when it was saved is not known");
      }
    }
  }

  /// Of equal values the newer is the better. What is not finite, suspect or quarantined never
  /// wins, however few others there are.
  private void best(Best best) {
    List<Scored> scored = new ArrayList<>();
    boolean seen = false;
    for (CheckpointId id : candidates.ids()) {
      OptionalDouble value = candidates.metric(id, best.monitor());
      seen |= value.isPresent();
      if (value.isEmpty()) {
        judgement.pass(id, "has no " + best.monitor());
      } else if (!Double.isFinite(value.getAsDouble())) {
        judgement.pass(id, "its " + best.monitor() + " is " + value.getAsDouble());
      } else if (!candidates.good(id)) {
        judgement.pass(id, candidates.flaw(id) + ", so never best");
      } else {
        scored.add(new Scored(id, value.getAsDouble()));
      }
    }
    warn(best, seen, !scored.isEmpty());
    scored.sort(Scored.order(best.mode()));
    int better = 0;
    for (Scored one : scored) {
      if (better < best.count()) {
        judgement.keep(one.id, KeepRules.bestWords(best));
      } else if (best.count() > 0) {
        judgement.pass(one.id, "not the " + KeepRules.bestWords(best));
      }
      if (candidates.stays(one.id)) {
        better++;
      }
    }
  }

  private void warn(Best best, boolean seen, boolean ranked) {
    if (candidates.ids().isEmpty() || ranked) {
      return;
    }
    if (seen) {
      judgement.warn(
          "no checkpoint counts as best of "
              + best.monitor()
              + ": where they have it, it is not finite or they are suspect");
      return;
    }
    Set<String> names = candidates.metricNames();
    judgement.warn(
        "no checkpoint has the metric "
            + best.monitor()
            + (names.isEmpty()
                ? ", nor any other"
                : "; seen: " + String.join(", ", names.stream().limit(MOST_NAMES).toList())));
  }

  /// A checkpoint and its finite value.
  private record Scored(CheckpointId id, double value) {
    static Comparator<Scored> order(Mode mode) {
      Comparator<Scored> lowest = Comparator.comparingDouble(Scored::value);
      return (mode == Mode.MIN ? lowest : lowest.reversed())
          .thenComparing(Scored::id, Comparator.reverseOrder());
    }
  }
}
