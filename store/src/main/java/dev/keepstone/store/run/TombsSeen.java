package dev.keepstone.store.run;

import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.reference.CheckpointId;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;

/// What one look at the tombs of a run saw.
///
/// @param tombs how each stands, by checkpoint and number
/// @param gone checkpoints that a snapshot says are purged, whatever lies there of their tombs
/// @param damaged ends that cannot be trusted
public record TombsSeen(
    Map<CheckpointId, NavigableMap<Integer, Standing>> tombs,
    Set<CheckpointId> gone,
    List<Damaged> damaged) {
  private static final NavigableMap<Integer, Standing> NONE =
      Collections.unmodifiableNavigableMap(new TreeMap<>());

  public TombsSeen {
    tombs = Map.copyOf(tombs);
    damaged = List.copyOf(damaged);
  }

  /// How a tomb stands.
  public enum Standing {
    /// Without an end: the checkpoint is as visible as before.
    OPEN,
    /// Ended; how was not asked.
    ENDED,
    RESTORED,
    PURGED,
    /// Ended; how cannot be read.
    DAMAGED
  }

  /// Whether the checkpoint is gone for ever, whatever of it still lies there.
  public boolean purged(CheckpointId id) {
    return gone.contains(id) || of(id).containsValue(Standing.PURGED);
  }

  /// Whether nothing can be said of the checkpoint, because an end of it is damaged.
  public boolean doubtful(CheckpointId id) {
    return !gone.contains(id) && of(id).containsValue(Standing.DAMAGED);
  }

  /// The number of the tomb of this checkpoint that has no end yet.
  public OptionalInt open(CheckpointId id) {
    for (var tomb : of(id).entrySet()) {
      if (tomb.getValue() == Standing.OPEN && !gone.contains(id)) {
        return OptionalInt.of(tomb.getKey());
      }
    }
    return OptionalInt.empty();
  }

  /// Every tomb that has no end yet.
  public List<TombName> open() {
    List<TombName> open = new ArrayList<>();
    tombs.forEach((id, numbers) ->
        numbers.forEach((k, standing) -> {
          if (standing == Standing.OPEN && !gone.contains(id)) {
            open.add(new TombName(id, k));
          }
        }));
    return open;
  }

  /// The number that the next tomb of this checkpoint takes.
  public int next(CheckpointId id) {
    NavigableMap<Integer, Standing> taken = of(id);
    return taken.isEmpty() ? 1 : taken.lastKey() + 1;
  }

  private NavigableMap<Integer, Standing> of(CheckpointId id) {
    return tombs.getOrDefault(id, NONE);
  }
}
