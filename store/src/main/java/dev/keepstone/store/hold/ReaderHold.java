package dev.keepstone.store.hold;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.object.Hold;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.tier.Put;
import java.time.Duration;

/// One reader's need of a checkpoint: while it is renewed, the checkpoint stays.
///
/// A hold lives by changing: a deleter that sees the same name for a whole grace takes its reader
/// for dead. So the reader calls [#renew] every [#RENEW_EVERY] or more often.
public final class ReaderHold implements AutoCloseable {
  /// How often a hold is renewed: three times within the shortest automatic grace.
  public static final Duration RENEW_EVERY = Duration.ofSeconds(30);

  private final Run run;
  private final CheckpointId id;
  private final String nonce;
  private int k;

  private ReaderHold(Run run, CheckpointId id, String nonce) {
    this.run = run;
    this.id = id;
    this.nonce = nonce;
  }

  /// Puts the need, then sees to it that the checkpoint stays.
  ///
  /// @param nonce 8 hex digits, new for every hold
  /// @throws KeepstoneException.NotFound where the checkpoint is purged
  public static ReaderHold take(Run run, CheckpointId id, String nonce) {
    ReaderHold hold = new ReaderHold(run, id, nonce);
    hold.put();
    boolean stays = false;
    try {
      stays = Secure.secure(run, id);
    } finally {
      if (!stays) {
        hold.close();
      }
    }
    if (!stays) {
      throw new KeepstoneException.NotFound(
          "checkpoint " + id + " has been deleted",
          run.tier().describe(run.name()) + "@" + id,
          "take another one");
    }
    return hold;
  }

  /// Says again that the checkpoint is needed.
  public synchronized void renew() {
    int before = k;
    put();
    run.tier().delete(name(before));
  }

  /// The need is over.
  @Override
  public synchronized void close() {
    run.tier().delete(name(k));
  }

  private synchronized void put() {
    int next = k + 1;
    String name = name(next);
    if (!(run.tier().put(name, new Hold(run.uid(), id, nonce, next).encode())
        instanceof Put.Committed)) {
      throw new KeepstoneException.OutcomeUnknown(
          "the hold on checkpoint " + id + " could not be put",
          run.tier().describe(name),
          "try again");
    }
    k = next;
  }

  private String name(int number) {
    return run.names().hold(id, nonce, number);
  }
}
