package dev.keepstone.store.deletion;

import dev.keepstone.store.object.Probe;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.tier.Put;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/// How old things are in the eyes of who keeps the store, for processes that do not live long
/// enough to watch them: the time of a thing is compared with that of an object just put, never
/// with a clock of ours. A whole day more than was asked for must lie between the two, for whoever
/// keeps the store may set its clock too.
public final class Ages {
  /// What must be added to every time.
  public static final Duration MARGIN = Duration.ofHours(24);

  private static final Ages UNKNOWN = new Ages(Optional.empty());

  private final Optional<Instant> now;

  private Ages(Optional<Instant> now) {
    this.now = now;
  }

  /// For processes that live long: nothing is old but what they watched themselves.
  public static Ages unknown() {
    return UNKNOWN;
  }

  /// Asks the store for its hour.
  ///
  /// @param nonce of this process
  public static Ages ask(Run run, String nonce) {
    String name = run.names().probe(nonce);
    // One of an earlier process with our nonce may stand there: it makes things look younger than
    // they are, which does no harm.
    boolean there =
        run.tier().put(name, new Probe(run.uid(), nonce).encode()) instanceof Put.Committed;
    Optional<Instant> now = there ? run.tier().modified(name) : Optional.empty();
    run.tier().delete(name);
    return new Ages(now);
  }

  /// For who may not put anything, and only foretells what [#ask] would find.
  ///
  /// @param now what our own clock says
  public static Ages guess(Instant now) {
    return new Ages(Optional.of(now));
  }

  /// Whether a name is that much older than now, and [#MARGIN] more.
  boolean older(Run run, String name, Duration time) {
    return now.isPresent()
        && run.tier()
            .modified(name)
            .filter(then -> then.plus(time).plus(MARGIN).isBefore(now.get()))
            .isPresent();
  }
}
