package dev.keepstone.store.run;

import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// What lies in a checkpoint's folder: on its way, left half done, or refused, as long as there is
/// no manifest.
///
/// @param id what it would be
/// @param world its ranks, 0 where no part tells
/// @param parts ranks that have put theirs, extras and all, in order
/// @param refusal the first rank's that refused
/// @param uses checkpoints whose shards the parts there name
/// @param bytes of all files there
public record Attempt(
    CheckpointId id,
    int world,
    List<Integer> parts,
    Optional<Refusal> refusal,
    Set<CheckpointId> uses,
    long bytes) {
  public Attempt {
    uses = Set.copyOf(uses);
    parts = List.copyOf(parts);
  }

  /// Whether every rank has stored its part: it wants nothing but a manifest.
  public boolean complete() {
    return world > 0 && parts.size() == world && refusal.isEmpty();
  }

  /// What an attempt without a manifest looks like.
  public enum State {
    /// Newer than every checkpoint of the newest start: it may yet be committed.
    SAVING("saving"),
    /// Overtaken: nobody will finish it.
    INCOMPLETE("incomplete"),
    /// A rank refused.
    FAILED("failed");

    private final String text;

    State(String text) {
      this.text = text;
    }

    /// How it stands in listings.
    public String text() {
      return text;
    }
  }
}
