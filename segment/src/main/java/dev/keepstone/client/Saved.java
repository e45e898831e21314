package dev.keepstone.client;

/// A save that stands: its bytes are sealed in shared memory, and survive the trainer.
///
/// @param id of the checkpoint it becomes
/// @param generation in its segment
/// @param byteLength captured
/// @param stallNanos from the call to the seal, less what a new layout took
/// @param replanned whether the state tree had outgrown its area, so that a new segment was made
public record Saved(
    String id, long step, long generation, long byteLength, long stallNanos, boolean replanned) {}
