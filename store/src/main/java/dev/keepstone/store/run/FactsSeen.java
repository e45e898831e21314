package dev.keepstone.store.run;

import dev.keepstone.store.fact.Covers;
import dev.keepstone.store.fact.Facts;
import dev.keepstone.store.object.Names.BatchName;
import dev.keepstone.store.reference.CheckpointId;
import java.util.List;
import java.util.NavigableSet;
import java.util.Set;

/// What one look at the facts of a run saw.
///
/// @param facts merged
/// @param covers the batches whose facts are in it
/// @param purged checkpoints that a snapshot says are gone for ever
/// @param batches all that lie there
/// @param snapshots all that lie there, good or not
/// @param base the snapshot from which the facts were taken; 0: none
/// @param contained what the base contains, so that nobody need read it elsewhere
/// @param damaged batches and snapshots that cannot be trusted
public record FactsSeen(
    Facts facts,
    Covers covers,
    Set<CheckpointId> purged,
    Set<BatchName> batches,
    NavigableSet<Long> snapshots,
    long base,
    Contained contained,
    List<Damaged> damaged) {
  public FactsSeen {
    damaged = List.copyOf(damaged);
  }

  /// What a snapshot contains.
  ///
  /// @param covers its batches
  /// @param checkpoints how many manifests
  /// @param purged how many checkpoints that are gone
  public record Contained(Covers covers, int checkpoints, int purged) {
    static final Contained NOTHING = new Contained(Covers.NONE, 0, 0);
  }
}
