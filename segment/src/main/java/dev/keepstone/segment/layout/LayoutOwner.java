package dev.keepstone.segment.layout;

import dev.keepstone.core.json.Json;

/// Whose layout it is: what an agent that finds the segment needs to commit what lies in it.
///
/// @param store root of the store
/// @param run name of the run in it
/// @param uid the run's uid
/// @param start the start the trainer joined
/// @param rank of the trainer, below `world`
/// @param world ranks of the start
/// @param client the trainer's 16 hex digits
/// @param layout counts the layouts of this client from 1
/// @param policy the retention policy the trainer gave
public record LayoutOwner(
    String store,
    String run,
    String uid,
    int start,
    int rank,
    int world,
    String client,
    int layout,
    Json.Obj policy) {}
