package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.deletion.Deletion;
import dev.keepstone.store.deletion.DeletionEvent;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.tier.StoreClock;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// What became of announced deletions, and waiting for it.
final class Waiting {
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(10);
  private static final Duration SHORTEST_PAUSE = Duration.ofMillis(200);
  private static final int ROUNDS = 8;

  private final Console console;
  private long freed;
  private int spared;
  private int failed;

  Waiting(Console console) {
    this.console = console;
  }

  /// Bytes that are free now.
  long freed() {
    return freed;
  }

  void freed(long bytes) {
    freed += bytes;
  }

  /// What the command ends with: all was done, or something was not.
  ExitCode code() {
    return failed == 0 && spared == 0 ? ExitCode.DONE : ExitCode.PARTLY;
  }

  /// Tells of events; what failed is tried again in the next round.
  ///
  /// @return checkpoints that are settled
  Set<CheckpointId> tell(List<DeletionEvent> events) {
    Set<CheckpointId> settled = new HashSet<>();
    for (DeletionEvent event : events) {
      switch (event) {
        case DeletionEvent.Announced _ -> {}
        case DeletionEvent.Purged(CheckpointId id, int _, String _, long bytes) -> {
          freed += bytes;
          settled.add(id);
        }
        case DeletionEvent.Cleared(CheckpointId id, long bytes) -> {
          freed += bytes;
          settled.add(id);
        }
        case DeletionEvent.Spared(CheckpointId id, int _, String why) -> {
          spared++;
          settled.add(id);
          console.note("kept " + id + ": " + why);
        }
        case DeletionEvent.Unwritten(CheckpointId _, KeepstoneException why) -> {
          failed++;
          console.note("done, but not written down: " + why.what());
        }
        case DeletionEvent.Failed(CheckpointId id, KeepstoneException why) -> {
          failed++;
          settled.add(id);
          console.note("not deleted " + id + ": " + why.what() + "; " + why.next());
        }
      }
    }
    return settled;
  }

  /// Waits until each of these is purged, or somebody needs it.
  ///
  /// @param grace of their tombs
  /// @throws InterruptedException where a person has waited long enough: the tombs stay
  void await(Deletion deletion, Set<CheckpointId> ids, Duration grace, StoreClock clock)
      throws InterruptedException {
    Set<CheckpointId> open = new HashSet<>(ids);
    while (true) {
      open.removeAll(tell(deletion.round(open)));
      open.retainAll(deletion.open());
      if (open.isEmpty()) {
        return;
      }
      clock.pause(pause(grace));
      if (Thread.interrupted()) {
        throw new InterruptedException("the announced deletions stay announced");
      }
    }
  }

  private static Duration pause(Duration grace) {
    Duration share = grace.dividedBy(ROUNDS);
    if (share.compareTo(SHORTEST_PAUSE) < 0) {
      return SHORTEST_PAUSE;
    }
    return share.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : share;
  }
}
