package dev.keepstone.store.fact;

import dev.keepstone.store.fact.Fact.Deleted;
import dev.keepstone.store.fact.Fact.Durable;
import dev.keepstone.store.fact.Fact.Metrics;
import dev.keepstone.store.fact.Fact.Note;
import dev.keepstone.store.fact.Fact.Pin;
import dev.keepstone.store.fact.Fact.Policy;
import dev.keepstone.store.fact.Fact.Tag;
import dev.keepstone.store.fact.Fact.Verdict;
import dev.keepstone.store.reference.CheckpointId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Finds which of several facts on each subject of each checkpoint counts.
final class Weighing {
  private final Map<CheckpointId, List<Stamped<?>>> known;
  private final Map<CheckpointId, List<Stamped<?>>> added = new HashMap<>();

  /// @param known facts that count, in order of their stamps
  Weighing(Map<CheckpointId, List<Stamped<?>>> known) {
    this.known = known;
  }

  void put(CheckpointId id, Stamped<?> fact) {
    added.computeIfAbsent(id, none -> new ArrayList<>(2)).add(fact);
  }

  /// Those that count, in order of their stamps.
  Map<CheckpointId, List<Stamped<?>>> done() {
    if (added.isEmpty()) {
      return known;
    }
    Map<CheckpointId, List<Stamped<?>>> done = new HashMap<>(known);
    added.forEach((id, facts) -> {
      facts.addAll(known.getOrDefault(id, List.of()));
      done.put(id, weighed(facts));
    });
    return done;
  }

  private static List<Stamped<?>> weighed(List<Stamped<?>> facts) {
    if (facts.size() == 1) {
      return List.copyOf(facts);
    }
    Map<Object, Stamped<?>> subjects = HashMap.newHashMap(facts.size());
    for (Stamped<?> fact : facts) {
      subjects.merge(subject(fact.fact()), fact, Weighing::counts);
    }
    List<Stamped<?>> weighed = new ArrayList<>(subjects.values());
    weighed.sort(Stamped.ORDER);
    return List.copyOf(weighed);
  }

  private static Stamped<?> counts(Stamped<?> one, Stamped<?> other) {
    // A step of a deletion happened when it was first told of; everything else may change.
    boolean newest = !(one.fact() instanceof Deleted);
    return newest == Stamped.ORDER.compare(one, other) >= 0 ? one : other;
  }

  /// What of the checkpoint a fact is about: equal for facts of which one counts.
  private static Object subject(Fact fact) {
    return switch (fact) {
      case Metrics metrics -> FactCodec.only(metrics.metrics()).getKey();
      case Verdict verdict -> List.of(Verdict.class, verdict.deep(), verdict.good());
      case Deleted deleted -> List.of(Deleted.class, deleted.k(), deleted.act());
      case Durable _ -> Durable.class;
      case Pin _ -> Pin.class;
      case Note _ -> Note.class;
      case Tag _, Policy _ -> throw new IllegalArgumentException(fact + " is about no checkpoint");
    };
  }
}
