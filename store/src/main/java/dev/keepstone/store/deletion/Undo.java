package dev.keepstone.store.deletion;

import dev.keepstone.store.hold.Secure;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.TombsSeen;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;

/// Takes announced deletions back.
public final class Undo {
  private Undo() {}

  /// What became of one announcement.
  ///
  /// @param stays false where it was purged before
  public record Undone(TombName tomb, boolean stays) {}

  /// Every tomb without an end, or those of these checkpoints; in order.
  ///
  /// @param ids empty: all
  public static List<TombName> open(TombsSeen seen, Set<CheckpointId> ids) {
    return seen.open().stream()
        .filter(tomb -> ids.isEmpty() || ids.contains(tomb.id()))
        .sorted(Comparator.comparing(TombName::id).thenComparing(TombName::k))
        .toList();
  }

  /// Ends these tombs as restored. The checkpoints stay until somebody announces them anew.
  ///
  /// @param author who takes them back
  public static List<Undone> undo(Run run, List<TombName> tombs, Author author) {
    List<Undone> undone = new ArrayList<>();
    for (TombName tomb : tombs) {
      undone.add(new Undone(tomb, Secure.secure(run, tomb.id())));
    }
    author.tellUndone(undone.stream().filter(Undone::stays).map(Undone::tomb).toList());
    return undone;
  }
}
