package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.fact.Facts;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Names.HoldName;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.Retention;
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
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/// One checkpoint as `ls` and `show` tell it, complete or not.
///
/// @param state `complete`, `saving`, `incomplete` or `failed`
/// @param onLine whether it counts for `latest`
/// @param freed when an announced deletion may free its bytes; null where none is announced
/// @param bytes of its shards, wherever they lie
/// @param usedBytes how many of them lie in the folders of others
/// @param created when its trainer let go of it; null where no part tells
/// @param metrics of the save, and later ones on top
/// @param marks what became known of it later
/// @param reasons why it is kept, or what became of it
record Listed(
    CheckpointId id,
    String state,
    boolean onLine,
    @Nullable Instant freed,
    String health,
    long bytes,
    long usedBytes,
    @Nullable Instant created,
    Json.Obj metrics,
    Marks marks,
    List<String> reasons) {
  /// What became known of a checkpoint after its commit.
  ///
  /// @param quarantined whether a verification found it bad
  /// @param note words of people; null where there are none
  /// @param durableMs null where nobody told
  record Marks(
      boolean quarantined,
      List<String> tags,
      boolean pinned,
      @Nullable String note,
      @Nullable Double durableMs) {
    static final Marks NONE = new Marks(false, List.of(), false, null, null);

    static Marks of(View view, CheckpointId id) {
      Facts facts = view.facts();
      OptionalDouble durable = facts.durableMs(id);
      return new Marks(
          view.quarantined(id),
          List.copyOf(facts.tagsOf(id)),
          facts.pinned(id),
          facts.note(id).orElse(null),
          durable.isPresent() ? durable.getAsDouble() : null);
    }
  }

  private static final String LOCAL = "local";

  /// The newest checkpoints of a run, and figures of all of them.
  ///
  /// @param rows newest first
  /// @param all how many there are, complete or not
  /// @param complete how many are complete
  /// @param bytes in the folders of all
  record Newest(List<Listed> rows, int all, int complete, long bytes) {}

  /// What is not purged, newest first.
  ///
  /// @param most how many are told of in full: what is not shown need not be made
  static Newest of(Run run, View view, int most) {
    Map<CheckpointId, List<String>> kept = Retention.kept(view, held(run));
    List<CheckpointId> standing = view.standing();
    List<Attempt> attempts = run.attempts(view);
    List<Listed> rows = new ArrayList<>();
    for (CheckpointId id : standing.reversed().subList(0, Math.min(most, standing.size()))) {
      rows.add(complete(run, view, id, kept));
    }
    attempts.forEach(attempt -> rows.add(attempted(view, attempt)));
    rows.sort(Comparator.comparing(Listed::id).reversed());
    return new Newest(
        List.copyOf(rows.subList(0, Math.min(most, rows.size()))),
        standing.size() + attempts.size(),
        standing.size(),
        standing.stream().mapToLong(id -> view.summary(id).ownBytes()).sum()
            + attempts.stream().mapToLong(Attempt::bytes).sum());
  }

  private static Map<CheckpointId, String> held(Run run) {
    Map<CheckpointId, String> held = new HashMap<>();
    for (HoldName hold : run.holds()) {
      held.put(hold.id(), "a reader holds it");
    }
    return held;
  }

  /// One that has a manifest.
  static Listed of(Run run, View view, CheckpointId id) {
    return complete(run, view, id, Retention.kept(view, held(run)));
  }

  private static Listed complete(
      Run run, View view, CheckpointId id, Map<CheckpointId, List<String>> kept) {
    Manifest.Summary summary = view.summary(id);
    boolean onLine = view.starts().line().has(id);
    OptionalInt tomb = view.tombs().open(id);
    List<String> reasons = new ArrayList<>(kept.getOrDefault(id, List.of()));
    Optional<Tomb> announced =
        tomb.isPresent() ? run.tomb(new TombName(id, tomb.getAsInt())) : Optional.empty();
    announced.ifPresent(found -> reasons.add("deletion announced: " + found.why()));
    if (!onLine) {
      reasons.add("off the line");
    }
    view.quarantine(id).ifPresent(reasons::add);
    return new Listed(
        id,
        "complete",
        onLine,
        announced.map(found -> found.created().plus(found.grace())).orElse(null),
        summary.health().text(),
        summary.bytes(),
        summary.usedBytes(),
        created(run, summary),
        view.metrics(id),
        Marks.of(view, id),
        reasons);
  }

  /// The first rank's part has the moment where the manifest is an older agent's.
  private static @Nullable Instant created(Run run, Manifest.Summary summary) {
    Instant created = summary.created();
    if (created != null) {
      return created;
    }
    return run.part(summary.id(), 0).orElse(null) instanceof Part part ? part.sealed() : null;
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
        0,
        null,
        Json.object().build(),
        Marks.NONE,
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
        .put("quarantined", marks.quarantined)
        .put("health", health)
        .put("bytes", bytes)
        .put("used_bytes", usedBytes)
        .put("created", created == null ? null : created.toString())
        .put("metrics", metrics)
        .put("tags", Json.array(marks.tags.stream().map(Json::of).toList()))
        .put("pinned", marks.pinned)
        .put("note", marks.note)
        .put("durable_ms", marks.durableMs == null ? Json.NULL : Json.of(marks.durableMs))
        .put("tiers", Json.array(List.of(Json.of(LOCAL))))
        .put("reasons", Json.array(reasons.stream().map(Json::of).toList()))
        .build();
  }
}
