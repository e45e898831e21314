package dev.keepstone.store.retention;

import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.StartsSeen;
import dev.keepstone.store.run.View;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Why checkpoints are needed, whatever the rules say: wherever they are, somebody goes on from
/// them, reads them, or uses their shards; on the line, they are also the newest of their kind.
public final class Needs {
  private final Map<CheckpointId, List<String>> reasons = new HashMap<>();

  private Needs() {}

  /// The needs of all checkpoints that one look saw.
  ///
  /// @param held checkpoints that something else keeps, with the reason: a reader's hold
  public static Needs of(View view, Map<CheckpointId, String> held) {
    Needs needs = new Needs();
    needs.newest(Candidates.of(view));
    needs.parent(view.starts());
    held.forEach(needs::add);
    for (CheckpointId user : view.standing()) {
      for (CheckpointId used : view.summary(user).uses()) {
        if (!used.equals(user)) {
          needs.add(used, user + " uses its shards");
        }
      }
    }
    return needs;
  }

  /// The newest complete one, and where that is not good, the newest good one. One with an open
  /// tomb may be gone soon, so the newest that stays is needed as well.
  private void newest(Candidates candidates) {
    Optional<CheckpointId> latest = candidates.view().latest();
    latest.ifPresent(id -> add(id, "latest"));
    boolean staying = false;
    boolean good = false;
    for (CheckpointId id : candidates.ids().reversed()) {
      boolean stays = candidates.stays(id);
      if (!staying && stays && !candidates.quarantined(id)) {
        staying = true;
        if (!latest.equals(Optional.of(id))) {
          add(id, "newest not announced for deletion");
        }
      }
      if (!good && candidates.good(id)) {
        good = stays;
        if (!latest.equals(Optional.of(id))) {
          add(id, "newest healthy");
        }
      }
      if (staying && good) {
        return;
      }
    }
  }

  private void parent(StartsSeen starts) {
    int newest = starts.newestDecided().orElse(0);
    if (starts.decided().get(newest) instanceof Parent.Of(CheckpointId parent)) {
      add(parent, "start " + newest + " goes on from it");
    }
  }

  private void add(CheckpointId id, String why) {
    reasons.computeIfAbsent(id, _ -> new ArrayList<>()).add(why);
  }

  /// Why a checkpoint is needed; empty where it is not.
  public List<String> of(CheckpointId id) {
    return List.copyOf(reasons.getOrDefault(id, List.of()));
  }
}
