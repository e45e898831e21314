package dev.keepstone.store.start;

import dev.keepstone.store.object.Start;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Line;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import dev.keepstone.store.tier.StoreClock;
import java.util.List;
import java.util.Optional;

/// A run goes back to an earlier checkpoint, or over to another line: a start of nobody's, whose
/// parent is that checkpoint. The next trainer goes on from it; nothing is deleted.
///
/// @param to what will be the latest
/// @param from what is the latest now; empty where nothing is
/// @param leaves visible now and not afterwards, oldest first
/// @param fences the start whose trainer, where it still runs, will be refused its next save
public record Rollback(
    CheckpointId to, Optional<CheckpointId> from, List<CheckpointId> leaves, int fences) {
  public Rollback {
    leaves = List.copyOf(leaves);
  }

  /// What would happen.
  public static Rollback plan(View view, CheckpointId to) {
    Line now = view.starts().line();
    Line then = view.starts().lineUpTo(to);
    List<CheckpointId> leaves =
        view.visible().stream().filter(id -> now.has(id) && !then.has(id)).toList();
    return new Rollback(to, view.latest(), leaves, view.starts().newest().orElse(0));
  }

  /// Does it.
  ///
  /// @param token of no other launch
  /// @return the number of the start that was put
  /// @throws dev.keepstone.core.failure.KeepstoneException.NotFound where the checkpoint has been
  ///   deleted meanwhile
  public int execute(Run run, StoreClock clock, String token) {
    Starts starts = new Starts(run, clock, Starts.Check.none());
    Start start = starts.join(token, 1, new Wanted.Of(to));
    return starts.decide(start).start();
  }
}
