package dev.keepstone.store.retention;

import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.Plan.Action;
import dev.keepstone.store.retention.Plan.Entry;
import dev.keepstone.store.run.Line;
import dev.keepstone.store.run.View;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/// Decides what is kept. Only checkpoints on the line are counted and deleted; what is off it stays
/// until somebody deletes it by name.
public final class Retention {
  private Retention() {}

  /// The plan for a run.
  ///
  /// A checkpoint with an open tomb may be gone soon, so it is not counted as one of those kept:
  /// two deleters with different checkpoints in hand would each take the other's for what remains.
  ///
  /// @param needed checkpoints that something else keeps, with the reason: a reader's hold
  public static Plan plan(View view, KeepRules rules, Map<CheckpointId, String> needed) {
    Line line = view.starts().line();
    List<Entry> entries = new ArrayList<>();
    int newer = 0;
    for (CheckpointId id : view.standing().reversed()) {
      List<String> reasons = new ArrayList<>();
      if (!line.has(id)) {
        reasons.add("not on the line of the newest start: deleted by name only");
      } else {
        if (view.latest().equals(Optional.of(id))) {
          reasons.add("latest");
        }
        if (newer < rules.keepLast()) {
          reasons.add("last " + rules.keepLast());
        }
        if (view.tombs().open(id).isEmpty()) {
          newer++;
        }
      }
      reasons.addAll(needs(view, id, needed));
      long bytes = view.summary(id).ownBytes();
      entries.addFirst(
          reasons.isEmpty()
              ? new Entry(id, Action.DELETE, List.of("keep_last=" + rules.keepLast()), bytes)
              : new Entry(id, Action.KEEP, reasons, bytes));
    }
    return new Plan(entries);
  }

  /// Why a checkpoint is needed, whatever the rules say and wherever it is.
  ///
  /// @param needed as in [#plan]
  public static List<String> needs(View view, CheckpointId id, Map<CheckpointId, String> needed) {
    List<String> needs = new ArrayList<>();
    OptionalInt newest = view.starts().newestDecided();
    if (newest.isPresent()
        && view.starts().decided().get(newest.getAsInt()) instanceof Parent.Of(CheckpointId parent)
        && parent.equals(id)) {
      needs.add("start " + newest.getAsInt() + " goes on from it");
    }
    String need = needed.get(id);
    if (need != null) {
      needs.add(need);
    }
    for (CheckpointId user : view.standing()) {
      if (!user.equals(id) && view.summary(user).uses().contains(id)) {
        needs.add(user + " uses its shards");
      }
    }
    return needs;
  }
}
