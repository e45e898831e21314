package dev.keepstone.client;

/// A save that stands: its bytes are sealed in shared memory, and survive the trainer.
///
/// @param id of the checkpoint it becomes
/// @param generation in its segment
/// @param byteLength captured: without what was declared frozen
/// @param stallNanos from the call to the seal, less what a new layout took
/// @param replanned whether a new segment was made: the state tree had outgrown its area, or the
///   agent had seen tensors that do not change
public record Saved(
    String id, long step, long generation, long byteLength, long stallNanos, boolean replanned) {}
