package dev.keepstone.store.hold;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.object.End;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Damaged;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.TombsSeen;
import dev.keepstone.store.tier.Put;
import java.util.OptionalInt;

/// Keeps a checkpoint from being deleted, after the need of it stands where deleters look.
public final class Secure {
  private Secure() {}

  /// Lists the tombs of a checkpoint, ends an open one as restored, and lists again.
  ///
  /// @return whether it stays; false: it is purged
  /// @throws KeepstoneException.OutcomeUnknown where an end could be neither put nor read
  public static boolean secure(Run run, CheckpointId id) {
    while (true) {
      TombsSeen seen = run.tombs(id);
      if (seen.purged(id)) {
        return false;
      }
      requireReadable(seen, id);
      OptionalInt open = seen.open(id);
      if (open.isEmpty()) {
        return true;
      }
      restore(run, new TombName(id, open.getAsInt()));
    }
  }

  /// [#secure] of a checkpoint that was seen committed, for who tells people that it stays: its
  /// manifest may not be durable yet, and would go with the power.
  public static boolean secureSeen(Run run, CheckpointId id) {
    if (!secure(run, id)) {
      return false;
    }
    run.makeDurable(run.names().manifests());
    return true;
  }

  /// A damaged end may say purged: nothing is built on the checkpoint then, and nothing deleted.
  private static void requireReadable(TombsSeen seen, CheckpointId id) {
    if (seen.doubtful(id)) {
      Damaged end = seen.damaged().getFirst();
      throw new KeepstoneException.Integrity(
          "whether " + id + " was deleted is not known: " + end.why().what(),
          end.name(),
          end.why().next(),
          end.why());
    }
  }

  private static void restore(Run run, TombName tomb) {
    String name = run.names().end(tomb.id(), tomb.k());
    byte[] end = new End(run.uid(), tomb.id(), tomb.k(), End.Outcome.RESTORED).encode();
    // Lost: somebody ended it otherwise; the next listing tells how.
    if (run.tier().put(name, end) instanceof Put.Unknown(String why)) {
      throw new KeepstoneException.OutcomeUnknown(
          "whether " + tomb.id() + " could be kept from deletion is not known: " + why,
          run.tier().describe(name),
          "try again");
    }
  }
}
