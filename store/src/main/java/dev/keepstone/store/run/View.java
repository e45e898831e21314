package dev.keepstone.store.run;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Which;
import java.util.Collections;
import java.util.List;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;

/// What one look at a run saw: facts, and what follows from them. It does not change.
///
/// @param run the run's name
/// @param manifests what each trusted manifest says, by id
/// @param starts the starts
/// @param tombs the tombs, and the ends of the checkpoints in `manifests`
/// @param damaged every object that cannot be trusted
public record View(
    String run,
    NavigableMap<CheckpointId, Manifest.Summary> manifests,
    StartsSeen starts,
    TombsSeen tombs,
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

  /// The newest visible checkpoint.
  public Optional<CheckpointId> latest() {
    List<CheckpointId> visible = visible();
    return visible.isEmpty() ? Optional.empty() : Optional.of(visible.getLast());
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
