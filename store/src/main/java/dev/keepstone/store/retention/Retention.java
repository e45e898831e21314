package dev.keepstone.store.retention;

import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.Plan.Action;
import dev.keepstone.store.retention.Plan.Entry;
import dev.keepstone.store.run.Line;
import dev.keepstone.store.run.View;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Decides what is kept: a function of what one look saw and of nothing else.
public final class Retention {
  private Retention() {}

  /// The plan of rules. Only checkpoints on the line are counted and deleted; what is off it stays
  /// until somebody deletes it by name.
  ///
  /// @param held as in [Needs#of]
  public static Plan plan(View view, KeepRules rules, Map<CheckpointId, String> held) {
    Line line = view.starts().line();
    Needs needs = Needs.of(view, held);
    Judgement judgement = Rules.judge(Candidates.of(view), rules);
    List<Entry> entries = new ArrayList<>();
    for (CheckpointId id : view.standing()) {
      Set<String> reasons = new LinkedHashSet<>(needs.of(id));
      reasons.addAll(judgement.kept(id));
      if (!line.has(id)) {
        reasons.add("not on the line of the newest start: deleted by name only");
      }
      entries.add(entry(view, id, reasons, judgement.passed(id)));
    }
    return new Plan(entries, judgement.warnings());
  }

  /// The plan of a person who named what is to go: only what is needed stays in its way.
  ///
  /// @param named what is to go, on the line or off it
  /// @param held as in [Needs#of]
  public static Plan planNamed(View view, Set<CheckpointId> named, Map<CheckpointId, String> held) {
    Needs needs = Needs.of(view, held);
    List<Entry> entries = new ArrayList<>();
    for (CheckpointId id : view.standing()) {
      Set<String> reasons = new LinkedHashSet<>(needs.of(id));
      if (!named.contains(id)) {
        reasons.add("not named");
      }
      entries.add(entry(view, id, reasons, List.of("named")));
    }
    return new Plan(entries, List.of());
  }

  /// Why each checkpoint stays: who needs it, and which of the run's own rules keep it, where the
  /// run has any. One that nothing keeps is not there.
  ///
  /// @param held as in [Needs#of]
  public static Map<CheckpointId, List<String>> kept(View view, Map<CheckpointId, String> held) {
    Map<CheckpointId, List<String>> kept = new HashMap<>();
    Needs needs = Needs.of(view, held);
    Judgement judgement =
        Needs.policyOf(view)
            .map(rules -> Rules.judge(Candidates.of(view), rules))
            .orElseGet(Judgement::new);
    for (CheckpointId id : view.standing()) {
      Set<String> reasons = new LinkedHashSet<>(needs.of(id));
      reasons.addAll(judgement.kept(id));
      if (!reasons.isEmpty()) {
        kept.put(id, List.copyOf(reasons));
      }
    }
    return kept;
  }

  private static Entry entry(View view, CheckpointId id, Set<String> keep, List<String> delete) {
    long bytes = view.summary(id).ownBytes();
    return keep.isEmpty()
        ? new Entry(id, Action.DELETE, delete, bytes)
        : new Entry(id, Action.KEEP, List.copyOf(keep), bytes);
  }
}
