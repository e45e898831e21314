package dev.keepstone.agent;

import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.store.reference.CheckpointId;

/// One sealed generation on its way to a committed checkpoint.
record Attempt(LiveSegment segment, SealRecord seal, CheckpointId id) {
  Trainer trainer() {
    return segment.trainer;
  }

  int slot() {
    return seal.slot();
  }
}
