package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Names.HoldName;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.Needs;
import dev.keepstone.store.run.Attempt;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/// One checkpoint as `ls` and `show` tell it, complete or not.
///
/// @param state `complete`, `saving`, `incomplete` or `failed`
/// @param onLine whether it counts for `latest`
/// @param freed when an announced deletion may free its bytes; null where none is announced
/// @param created when its trainer let go of it; null where no part tells
/// @param metrics of the save
/// @param reasons why it is kept, or what became of it
record Listed(
    CheckpointId id,
    String state,
    boolean onLine,
    @Nullable Instant freed,
    String health,
    long bytes,
    @Nullable Instant created,
    Json.Obj metrics,
    List<String> reasons) {
  private static final String LOCAL = "local";

  /// Every checkpoint of a run that is not purged, newest first.
  static List<Listed> of(Run run, View view) {
    Map<CheckpointId, String> held = new HashMap<>();
    for (HoldName hold : run.holds()) {
      held.put(hold.id(), "a reader holds it");
    }
    List<Listed> all = new ArrayList<>();
    Needs needs = Needs.of(view, held);
    for (CheckpointId id : view.standing()) {
      all.add(complete(run, view, id, needs));
    }
    for (Attempt attempt : run.attempts(view)) {
      all.add(attempted(view, attempt));
    }
    all.sort(Comparator.comparing(Listed::id).reversed());
    return all;
  }

  /// One that has a manifest.
  static Listed of(Run run, View view, CheckpointId id) {
    return of(run, view).stream().filter(listed -> listed.id.equals(id)).findFirst().orElseThrow();
  }

  private static Listed complete(Run run, View view, CheckpointId id, Needs needs) {
    Manifest.Summary summary = view.summary(id);
    boolean onLine = view.starts().line().has(id);
    OptionalInt tomb = view.tombs().open(id);
    List<String> reasons = new ArrayList<>();
    reasons.addAll(needs.of(id));
    Optional<Tomb> announced =
        tomb.isPresent() ? run.tomb(new TombName(id, tomb.getAsInt())) : Optional.empty();
    announced.ifPresent(found -> reasons.add("deletion announced: " + found.why()));
    if (!onLine) {
      reasons.add("off the line");
    }
    return new Listed(
        id,
        "complete",
        onLine,
        announced.map(found -> found.created().plus(found.grace())).orElse(null),
        summary.health().text(),
        summary.bytes(),
        created(run, id),
        summary.metrics(),
        reasons);
  }

  /// The first rank's part has the moment; the manifest has none, so that any agent writes it
  /// alike.
  private static @Nullable Instant created(Run run, CheckpointId id) {
    return run.part(id, 0).orElse(null) instanceof Part part ? part.sealed() : null;
  }

  private static Listed attempted(View view, Attempt attempt) {
    List<String> reasons = new ArrayList<>();
    attempt
        .refusal()
        .ifPresent(refusal ->
            reasons.add(
                "rank " + refusal.rank() + " " + refusal.why().text() + ": " + refusal.detail()));
    if (attempt.refusal().isEmpty() && attempt.world() > 0) {
      reasons.add(attempt.parts().size() + " of " + attempt.world() + " ranks have stored theirs");
    }
    return new Listed(
        attempt.id(),
        view.state(attempt).text(),
        view.starts().line().has(attempt.id()),
        null,
        "unknown",
        attempt.bytes(),
        null,
        Json.object().build(),
        reasons);
  }

  /// The promised fields.
  Json.Obj json() {
    return Json.object()
        .put("id", id.toString())
        .put("step", id.step())
        .put("state", state)
        .put("on_line", onLine)
        .put("deletion", freed == null ? null : freed.toString())
        .put("quarantined", false)
        .put("health", health)
        .put("bytes", bytes)
        .put("created", created == null ? null : created.toString())
        .put("metrics", metrics)
        .put("tags", Json.array(List.of()))
        .put("pinned", false)
        .put("tiers", Json.array(List.of(Json.of(LOCAL))))
        .put("reasons", Json.array(reasons.stream().map(Json::of).toList()))
        .build();
  }
}
