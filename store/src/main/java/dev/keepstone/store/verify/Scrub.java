package dev.keepstone.store.verify;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.fact.Stamped;
import dev.keepstone.store.hold.ReaderHold;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import dev.keepstone.store.tier.StoreClock;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/// Reads checkpoints of a run to their last byte, at a limited rate, and holds each while it does.
/// For one thread at a time.
public final class Scrub {
  /// As much as a fact may say.
  private static final int MOST_DETAIL = 1000;

  private static final double NANOS = 1e9;

  private final Run run;
  private final StoreClock clock;
  private final String nonce;
  private final long bytesPerSecond;
  private @Nullable ReaderHold hold;
  private long heldAt;
  private long began;

  /// @param nonce 8 hex digits, for the holds
  /// @param bytesPerSecond at most; 0: as fast as it goes
  public Scrub(Run run, StoreClock clock, String nonce, long bytesPerSecond) {
    this.run = run;
    this.clock = clock;
    this.nonce = nonce;
    this.bytesPerSecond = bytesPerSecond;
  }

  /// What is to be read, least recently verified to the last byte first; of what never was, the
  /// newest first, for that is what a trainer would go on from. What is going to be deleted is left
  /// alone: a hold would keep it.
  public static List<CheckpointId> order(View view) {
    return view.standing().stream()
        .filter(id -> view.tombs().open(id).isEmpty())
        .sorted(
            Comparator.comparing((CheckpointId id) -> verified(view, id).orElse(Instant.MIN))
                .thenComparing(Comparator.reverseOrder()))
        .toList();
  }

  /// When a checkpoint was last read to the last byte and found good.
  public static Optional<Instant> verified(View view, CheckpointId id) {
    Optional<Stamped<Fact.Verdict>> verdict = view.facts().deeplyVerified(id);
    return verdict.map(found -> found.stamp().at());
  }

  /// What a report means for a checkpoint.
  public static Fact.Verdict verdict(CheckpointId id, VerifyReport report) {
    String detail =
        report.problems().stream()
            .findFirst()
            .map(problem ->
                problem.file()
                    + (problem.tensor() == null ? "" : ", tensor " + problem.tensor())
                    + ": expected "
                    + problem.expected()
                    + ", found "
                    + problem.found())
            .orElse("");
    return new Fact.Verdict(
        id,
        report.deep(),
        report.ok(),
        detail.length() > MOST_DETAIL ? detail.substring(0, MOST_DETAIL) : detail);
  }

  /// Reads every byte of a checkpoint.
  ///
  /// @param progress as in [Verify#deep]
  /// @throws KeepstoneException.NotFound where it has been deleted
  public VerifyReport read(CheckpointId id, LongConsumer progress) {
    began = clock.nanos();
    take(id);
    try {
      return Verify.deep(
          run,
          id,
          done -> {
            progress.accept(done);
            pace(done);
          });
    } finally {
      release();
    }
  }

  /// A store that cannot be written to has no hold, and nobody on this machine who could delete. An
  /// announced deletion is not undone by who only looks.
  private void take(CheckpointId id) {
    if (run.tombs(id).open(id).isPresent()) {
      return;
    }
    try {
      hold = ReaderHold.take(run, id, nonce);
      heldAt = clock.nanos();
    } catch (KeepstoneException.Denied e) {
      hold = null;
    }
  }

  private void release() {
    ReaderHold held = hold;
    hold = null;
    if (held != null) {
      held.close();
    }
  }

  /// Called by every reader between its requests: where they are ahead of the rate, all wait.
  private synchronized void pace(long done) {
    if (bytesPerSecond > 0) {
      long due = (long) (done * NANOS / bytesPerSecond);
      long ahead = due - (clock.nanos() - began);
      if (ahead > 0) {
        clock.pause(Duration.ofNanos(ahead));
      }
    }
    ReaderHold held = hold;
    if (held != null && clock.nanos() - heldAt >= ReaderHold.RENEW_EVERY.toNanos()) {
      held.renew();
      heldAt = clock.nanos();
    }
  }
}
