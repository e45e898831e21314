package dev.keepstone.store.run;

import dev.keepstone.store.object.End;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.reference.CheckpointId;
import java.util.Map;
import java.util.NavigableSet;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;

/// What one look at the tombs of a run saw.
///
/// @param tombs every tomb
/// @param ends the outcome of every tomb that has one, of the ids that were asked for
/// @param damaged ends that cannot be trusted, by their tomb
public record TombsSeen(
    Set<TombName> tombs, Map<TombName, End.Outcome> ends, Map<TombName, Damaged> damaged) {
  public TombsSeen {
    tombs = Set.copyOf(tombs);
    ends = Map.copyOf(ends);
    damaged = Map.copyOf(damaged);
  }

  /// Whether the checkpoint is gone for ever, whatever of it still lies there.
  public boolean purged(CheckpointId id) {
    return ends.entrySet().stream()
        .anyMatch(end -> end.getKey().id().equals(id) && end.getValue() == End.Outcome.PURGED);
  }

  /// Whether nothing can be said of the checkpoint, because an end of it is damaged.
  public boolean doubtful(CheckpointId id) {
    return damaged.keySet().stream().anyMatch(tomb -> tomb.id().equals(id));
  }

  /// The number of the tomb of this checkpoint that has no end yet.
  public OptionalInt open(CheckpointId id) {
    return tombs.stream()
        .filter(tomb -> tomb.id().equals(id))
        .filter(tomb -> !ends.containsKey(tomb) && !damaged.containsKey(tomb))
        .mapToInt(TombName::k)
        .min();
  }

  /// The number that the next tomb of this checkpoint takes.
  public int next(CheckpointId id) {
    NavigableSet<Integer> taken = new TreeSet<>();
    tombs.stream().filter(tomb -> tomb.id().equals(id)).forEach(tomb -> taken.add(tomb.k()));
    return taken.isEmpty() ? 1 : taken.last() + 1;
  }
}
