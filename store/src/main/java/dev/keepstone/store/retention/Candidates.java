package dev.keepstone.store.retention;

import dev.keepstone.store.fact.Metric;
import dev.keepstone.store.manifest.Manifest.Soundness;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.View;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.SortedSet;
import java.util.TreeSet;

/// The checkpoints that rules judge: those on the line, oldest first. Their order is that of their
/// ids; no rule ever asks a file for its age.
///
/// @param view where they were seen
/// @param ids visible ones
record Candidates(View view, List<CheckpointId> ids) {
  static Candidates of(View view) {
    return new Candidates(view, view.visible());
  }

  /// Whether it may be relied on to stay: one with an open tomb may be gone soon. Two deleters with
  /// different checkpoints in hand would each take the other's for what remains.
  boolean stays(CheckpointId id) {
    return view.tombs().open(id).isEmpty();
  }

  /// Whether it may stand for others: what has numbers that are not finite, or a verdict against
  /// it, never pushes a good checkpoint out.
  boolean good(CheckpointId id) {
    return !quarantined(id) && view.summary(id).health() != Soundness.SUSPECT;
  }

  /// Whether a verification found it bad.
  boolean quarantined(CheckpointId id) {
    return view.quarantined(id);
  }

  /// Why it is not good.
  String flaw(CheckpointId id) {
    return quarantined(id) ? "quarantined" : "suspect";
  }

  /// When it was saved; empty for manifests from before that was kept.
  Optional<Instant> created(CheckpointId id) {
    return Optional.ofNullable(view.summary(id).created());
  }

  /// Its value of a metric, reported later ones included; empty where it has none.
  OptionalDouble metric(CheckpointId id, String name) {
    return Metric.value(view.metrics(id).get(name));
  }

  SortedSet<String> metricNames() {
    SortedSet<String> names = new TreeSet<>();
    ids.forEach(id -> names.addAll(view.metrics(id).fields().keySet()));
    return names;
  }
}
