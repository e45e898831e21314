package dev.keepstone.agent;

import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.store.reference.CheckpointId;
import org.jspecify.annotations.Nullable;

/// One sealed generation on its way to a committed checkpoint.
///
/// @param previous the generation before it, for comparison; null where there is none to be had
record Attempt(LiveSegment segment, SealRecord seal, CheckpointId id, @Nullable Previous previous) {
  Trainer trainer() {
    return segment.trainer;
  }

  int slot() {
    return seal.slot();
  }
}
