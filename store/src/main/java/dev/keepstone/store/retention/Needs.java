package dev.keepstone.store.retention;

import dev.keepstone.core.json.JsonException;
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
    Candidates candidates = Candidates.of(view);
    needs.newest(candidates);
    needs.deeplyVerified(candidates);
    needs.parent(view.starts());
    needs.wanted(candidates);
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
        break;
      }
    }
    // Numbers that nobody looked at are not suspect; `last-good` names the newest that were.
    candidates
        .view()
        .lastGood()
        .filter(id -> !latest.equals(Optional.of(id)))
        .ifPresent(id -> add(id, "newest healthy"));
  }

  private void deeplyVerified(Candidates candidates) {
    for (CheckpointId id : candidates.ids().reversed()) {
      if (!candidates.quarantined(id) && candidates.view().facts().deeplyVerified(id).isPresent()) {
        add(id, "newest deeply verified");
        if (candidates.stays(id)) {
          return;
        }
      }
    }
  }

  /// What people pinned and tagged, and the best by the run's own rules, which `@best` names.
  private void wanted(Candidates candidates) {
    View view = candidates.view();
    for (CheckpointId id : view.standing()) {
      if (view.facts().pinned(id)) {
        add(id, "pinned");
      }
      view.facts().tagsOf(id).forEach(tag -> add(id, "tag " + tag));
    }
    Optional<Best> best = policyOf(view).flatMap(KeepRules::best);
    if (best.isPresent()) {
      Judgement judgement = Rules.judge(candidates, best.get());
      candidates.ids().forEach(id -> judgement.kept(id).forEach(why -> add(id, why)));
    }
  }

  /// The rules that the run's newest start gave. Those of a newer Keepstone that are not known here
  /// are nobody's to apply.
  public static Optional<KeepRules> policyOf(View view) {
    try {
      return view.facts().policy().map(policy -> KeepRules.read(policy.rules()));
    } catch (JsonException e) {
      return Optional.empty();
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
