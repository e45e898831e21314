package dev.keepstone.store.deletion;

import dev.keepstone.store.reference.CheckpointId;
import java.util.Optional;

/// Something of ours in a run that nobody needs and nobody will finish.
///
/// @param id the checkpoint it belongs to, where it belongs to one
/// @param name in the store; of a whole checkpoint its folder
/// @param why it is one
/// @param bytes it takes
public record Leftover(Kind kind, Optional<CheckpointId> id, String name, String why, long bytes) {
  /// What it is, and so what happens to it.
  public enum Kind {
    /// An attempt that nobody has touched for long: its deletion is announced.
    ATTEMPT,
    /// One that wants nothing but its manifest: it is given one.
    FINISHABLE,
    /// A newest start that never chose what it goes on from, because of which nothing is deleted:
    /// it is made void.
    UNDECIDED,
    /// What still lies there of a purged checkpoint.
    PURGED,
    /// A file in a checkpoint's folder that is not part of it: an agent lost a race and died.
    ORPHAN,
    /// What a process wrote under a name that nobody reads, and never published.
    TEMPORARY,
    /// The need of a reader that died.
    HOLD
  }
}
