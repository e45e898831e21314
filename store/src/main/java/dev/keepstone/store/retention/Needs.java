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
import java.util.function.Predicate;

/// Why checkpoints are needed, whatever the rules say: wherever they are, somebody goes on from
/// them, reads them, or uses their shards; on the line, they are also the newest of their kind.
public final class Needs {
  private static final String LATEST = "latest";
  private static final String HEALTHY = "newest healthy";

  private final Map<CheckpointId, List<String>> reasons = new HashMap<>();

  private Needs() {}

  /// The needs of all checkpoints that one look saw.
  ///
  /// @param held checkpoints that something else keeps, with the reason: a reader's hold
  public static Needs of(View view, Map<CheckpointId, String> held) {
    Needs needs = new Needs();
    Candidates candidates = Candidates.of(view);
    needs.newest(candidates);
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

  /// The newest of each kind; and where that has an open tomb and may be gone soon, the newest that
  /// stays.
  private void newest(Candidates candidates) {
    View view = candidates.view();
    newest(candidates, id -> !candidates.quarantined(id), LATEST);
    newest(candidates, candidates::good, HEALTHY);
    // Numbers that nobody looked at are not suspect; `last-good` names the newest that were.
    Optional<CheckpointId> lastGood = view.lastGood();
    newest(candidates, id -> lastGood.equals(Optional.of(id)), HEALTHY);
    newest(
        candidates,
        id -> !candidates.quarantined(id) && view.facts().deeplyVerified(id).isPresent(),
        "newest deeply verified");
  }

  private void newest(Candidates candidates, Predicate<CheckpointId> kind, String why) {
    boolean first = true;
    for (CheckpointId id : candidates.ids().reversed()) {
      if (kind.test(id)) {
        boolean stays = candidates.stays(id);
        if (first || stays) {
          add(id, first ? why : why + " not announced for deletion");
        }
        if (stays) {
          return;
        }
        first = false;
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
    // The newest of all is of course also the newest healthy one: saying so helps nobody.
    if (why.startsWith(HEALTHY) && reasons.getOrDefault(id, List.of()).contains(LATEST)) {
      return;
    }
    reasons.computeIfAbsent(id, _ -> new ArrayList<>()).add(why);
  }

  /// Why a checkpoint is needed; empty where it is not.
  public List<String> of(CheckpointId id) {
    return List.copyOf(reasons.getOrDefault(id, List.of()));
  }
}
