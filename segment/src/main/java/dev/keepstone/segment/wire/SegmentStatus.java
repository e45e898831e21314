package dev.keepstone.segment.wire;

import org.jspecify.annotations.Nullable;

/// One segment in shared memory.
///
/// @param segment the file's name
/// @param pid of the trainer, as it said; 0 where an agent before this one knew it
/// @param living whether the trainer lives
/// @param step of its newest sealed generation; null where there is none
/// @param fate what will happen to it, for people
public record SegmentStatus(
    String segment,
    String store,
    String run,
    int rank,
    long pid,
    boolean living,
    @Nullable Long step,
    long bytes,
    String fate) {}
