package dev.keepstone.store.start;

import dev.keepstone.store.object.Start;
import dev.keepstone.store.reference.CheckpointId;
import java.util.List;
import java.util.Optional;

/// A start that has chosen.
///
/// @param announced as it was announced, perhaps by another rank. Its number may be higher than
///   that of the start first joined: one that stayed undecided for too long is made void, and its
///   ranks take the next
/// @param parent what all ranks restore, and nothing else; empty for a fresh start
/// @param skipped checkpoints that were passed over
public record Started(Start announced, Optional<CheckpointId> parent, List<Skipped> skipped) {
  public Started {
    skipped = List.copyOf(skipped);
  }

  /// Its number.
  public int start() {
    return announced.number();
  }

  /// A checkpoint that could have been the parent but for a defect.
  public record Skipped(CheckpointId id, String why) {}
}
