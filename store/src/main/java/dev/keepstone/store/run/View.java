package dev.keepstone.store.run;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.fact.Facts;
import dev.keepstone.store.fact.Metric;
import dev.keepstone.store.fact.Mode;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Which;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.Predicate;

/// What one look at a run saw: facts, and what follows from them. It does not change.
///
/// @param run the run's name
/// @param manifests what each trusted manifest says, by id
/// @param starts the starts
/// @param tombs the tombs, and the ends of the checkpoints in `manifests`
/// @param facts what became known of the checkpoints later
/// @param damaged every object that cannot be trusted
public record View(
    String run,
    NavigableMap<CheckpointId, Manifest.Summary> manifests,
    StartsSeen starts,
    TombsSeen tombs,
    Facts facts,
    List<Damaged> damaged) {
  private static final int MOST_NAMED = 8;

  public View {
    manifests = Collections.unmodifiableNavigableMap(new TreeMap<>(manifests));
    damaged = List.copyOf(damaged);
  }

  /// Committed and not purged, on the line or off it; in order.
  public List<CheckpointId> standing() {
    return manifests.keySet().stream()
        .filter(id -> !tombs.purged(id) && !tombs.doubtful(id))
        .toList();
  }

  /// Committed, not purged and on the line; newest last.
  public List<CheckpointId> visible() {
    return visibleOn(starts.line());
  }

  /// Committed, not purged and on that line; newest last.
  public List<CheckpointId> visibleOn(Line line) {
    return standing().stream().filter(line::has).toList();
  }

  /// The newest visible checkpoint that is not quarantined.
  public Optional<CheckpointId> latest() {
    return newest(id -> !quarantined(id));
  }

  /// The newest visible checkpoint in which nothing bad was found: not quarantined, and its numbers
  /// looked at and all finite.
  public Optional<CheckpointId> lastGood() {
    return newest(id -> !quarantined(id) && summary(id).health() == Manifest.Soundness.OK);
  }

  private Optional<CheckpointId> newest(Predicate<CheckpointId> wanted) {
    return visible().reversed().stream().filter(wanted).findFirst();
  }

  /// The visible checkpoint, neither suspect nor quarantined, with the best value of a metric; of
  /// equal ones the newest. One without a finite value is never it.
  public Optional<CheckpointId> best(String monitor, Mode mode) {
    CheckpointId best = null;
    double value = Double.NaN;
    for (CheckpointId id : visible()) {
      double own = Metric.value(metrics(id).get(monitor)).orElse(Double.NaN);
      boolean good = !quarantined(id) && summary(id).health() != Manifest.Soundness.SUSPECT;
      // Not "better" alone: of equal ones the later counts.
      if (good && Double.isFinite(own) && !mode.better(value, own)) {
        best = id;
        value = own;
      }
    }
    return Optional.ofNullable(best);
  }

  /// The metrics of a checkpoint: those of its save, and later ones on top.
  public Json.Obj metrics(CheckpointId id) {
    Json.Obj saved = summary(id).metrics();
    Json.Obj later = facts.metrics(id);
    if (later.fields().isEmpty()) {
      return saved;
    }
    Map<String, Json> metrics = new LinkedHashMap<>(saved.fields());
    metrics.putAll(later.fields());
    return new Json.Obj(metrics);
  }

  /// Why a checkpoint is quarantined, for people; empty where it is not.
  public Optional<String> quarantine(CheckpointId id) {
    return facts
        .bad(id)
        .map(verdict -> "quarantined by a verification: " + verdict.fact().detail());
  }

  /// Whether a checkpoint was found bad, and not deeply verified as good since.
  public boolean quarantined(CheckpointId id) {
    return facts.bad(id).isPresent();
  }

  /// Whether the newest start has not chosen its parent yet, so that the line is the one before it.
  public boolean undecided() {
    return starts.undecided();
  }

  /// What an attempt without a manifest looks like.
  public Attempt.State state(Attempt attempt) {
    if (attempt.refusal().isPresent()) {
      return Attempt.State.FAILED;
    }
    boolean newest =
        starts.newest().equals(OptionalInt.of(attempt.id().start()))
            && manifests.tailMap(attempt.id()).isEmpty();
    return newest ? Attempt.State.SAVING : Attempt.State.INCOMPLETE;
  }

  /// What a manifest says.
  ///
  /// @throws KeepstoneException.NotFound where there is none, or none to be trusted
  public Manifest.Summary summary(CheckpointId id) {
    Manifest.Summary summary = manifests.get(id);
    if (summary == null) {
      throw missing("there is no checkpoint " + id, id.toString());
    }
    return summary;
  }

  /// The checkpoint that is meant.
  ///
  /// @throws KeepstoneException.NotFound where there is none such; names those that are there
  public CheckpointId find(Which which) {
    return switch (which) {
      case Which.Back(Which from, int count) -> back(from, count);
      case Which.Latest() ->
          latest().orElseThrow(() -> missing("the run has no complete checkpoint", which.text()));
      case Which.Best() -> best(which.text());
      case Which.LastGood() ->
          lastGood()
              .orElseThrow(() ->
                  missing(
                      "the run has no checkpoint in which nothing bad was found", which.text()));
      case Which.Tag(String tag) ->
          facts
              .tag(tag)
              .filter(standing()::contains)
              .orElseThrow(() -> missing("no checkpoint is tagged " + tag, which.text()));
      case Which.First() ->
          visible().stream()
              .findFirst()
              .orElseThrow(() -> missing("the run has no complete checkpoint", which.text()));
      case Which.Step(long step) ->
          visible().reversed().stream()
              .filter(id -> id.step() == step)
              .findFirst()
              .orElseThrow(() -> missing("no checkpoint of step " + step, which.text()));
      case Which.Id(CheckpointId id) -> {
        if (!standing().contains(id)) {
          throw missing(
              tombs.purged(id)
                  ? "checkpoint " + id + " has been deleted"
                  : "there is no checkpoint " + id,
              which.text());
        }
        yield id;
      }
    };
  }

  private CheckpointId best(String asked) {
    Fact.Policy policy = facts.policy().orElse(null);
    String monitor = policy == null ? null : policy.monitor().orElse(null);
    if (policy == null || monitor == null) {
      throw new KeepstoneException.Refused(
          "the run does not say by which metric its checkpoints are compared",
          run + "@" + asked,
          "give the trainer monitor=\"val_loss\", mode=\"min\", or name the checkpoint you mean");
    }
    return best(monitor, policy.mode())
        .orElseThrow(() -> missing("no checkpoint has a number as its " + monitor, asked));
  }

  private CheckpointId back(Which from, int count) {
    CheckpointId id = find(from);
    List<CheckpointId> visible = visible();
    int at = visible.indexOf(id);
    String asked = new Which.Back(from, count).text();
    if (at < 0) {
      throw new KeepstoneException.Refused(
          "checkpoint "
              + id
              + " is not on the line of the newest start, so nothing comes before it",
          run + "@" + asked,
          "name the checkpoint you mean: " + named(visible));
    }
    if (count > at) {
      throw missing("only " + at + " checkpoints come before " + id, asked);
    }
    return visible.get(at - count);
  }

  private KeepstoneException.NotFound missing(String what, String which) {
    List<CheckpointId> visible = visible();
    String there = visible.isEmpty() ? "save one first" : "take one of " + named(visible);
    String hint = damaged.isEmpty() ? there : there + "; " + damaged.size() + " damaged: verify";
    return new KeepstoneException.NotFound(what, run + "@" + which, hint);
  }

  private static String named(List<CheckpointId> ids) {
    List<String> names =
        ids.reversed().stream().limit(MOST_NAMED).map(CheckpointId::toString).toList();
    String more = ids.size() > MOST_NAMED ? " … " + (ids.size() - MOST_NAMED) + " more" : "";
    return String.join(" ", names) + more;
  }
}
