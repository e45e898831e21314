package dev.keepstone.agent;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.layout.LayoutOwner;
import java.nio.file.Path;
import java.time.Duration;

/// Which part of which run a trainer is.
///
/// @param start the start it joined
/// @param rank from 0, below `world`
/// @param policy the retention policy it gave
/// @param local ranks of the start on this node, as far as its trainers know
/// @param commitTimeout how long its saves wait for the parts of all ranks
record Membership(
    RunKey run,
    String uid,
    int start,
    int rank,
    int world,
    Json.Obj policy,
    int local,
    Duration commitTimeout) {
  /// Where the trainer did not live to say.
  private static final Duration COMMIT_TIMEOUT = Duration.ofMinutes(20);

  /// As a layout tells it.
  static Membership of(LayoutOwner owner) {
    return new Membership(
        new RunKey(Path.of(owner.store()), owner.run()),
        owner.uid(),
        owner.start(),
        owner.rank(),
        owner.world(),
        owner.policy(),
        1,
        COMMIT_TIMEOUT);
  }

  /// The owner of this member's k-th layout.
  LayoutOwner owner(String client, int layout) {
    return new LayoutOwner(
        run.store().toString(), run.run(), uid, start, rank, world, client, layout, policy);
  }
}
