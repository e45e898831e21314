package dev.keepstone.store.due;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.object.Ask;
import dev.keepstone.store.object.Due;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.tier.Put;
import java.time.InstantSource;
import java.util.Optional;

/// The due steps of one start, numbered from 1. Each is one object that is put once, so that all
/// who look agree, and nobody waits for anybody.
///
/// @param run whose start it is
/// @param start its number
/// @param clock for the times that people read
public record DueSteps(Run run, int start, InstantSource clock) {
  /// How many steps are tried for one wish. Each is proposed twice as far ahead as the one before,
  /// so the last has 16 times the first one's notice.
  public static final int MOST_ATTEMPTS = 5;

  /// What is due under this number, or empty where nothing is yet. One look at one name.
  ///
  /// @throws KeepstoneException.Integrity where the object cannot be trusted
  public Optional<Due> find(int k) {
    String name = run.names().due(start, k);
    return run.tier().read(name).map(bytes -> own(Due.decode(bytes, run.tier().describe(name)), k));
  }

  /// The newest one after `k`, or empty where there is none.
  public Optional<Due> newest(int after) {
    Optional<Due> newest = Optional.empty();
    int k = after + 1;
    for (Optional<Due> found = find(k); found.isPresent(); found = find(k)) {
      newest = found;
      k++;
    }
    return newest;
  }

  /// Proposes a step.
  ///
  /// @return what stands under that number now, whoever put it
  /// @throws KeepstoneException.OutcomeUnknown where the store does not tell; propose again
  public Due propose(int k, long step, int attempt, String why, String nonce) {
    Due due = new Due(run.uid(), start, k, step, attempt, why, nonce, clock.instant());
    String name = run.names().due(start, k);
    return switch (run.tier().put(name, due.encode())) {
      case Put.Committed() -> due;
      case Put.Lost(byte[] standing) -> own(Due.decode(standing, run.tier().describe(name)), k);
      case Put.Unknown(String unknown) -> throw unknown(name, unknown);
    };
  }

  /// Whether somebody wants a due step of this number.
  public boolean asked(int k) {
    String name = run.names().ask(start, k);
    Optional<byte[]> found = run.tier().read(name);
    if (found.isEmpty()) {
      return false;
    }
    Ask ask = Ask.decode(found.get(), run.tier().describe(name));
    return ask.uid().equals(run.uid()) && ask.start() == start && ask.k() == k;
  }

  /// Wants the next due step, of whichever number is free.
  ///
  /// @return that number
  public int ask() {
    int k = newest(0).map(Due::k).orElse(0) + 1;
    String name = run.names().ask(start, k);
    byte[] ask = new Ask(run.uid(), start, k, clock.instant()).encode();
    if (run.tier().put(name, ask) instanceof Put.Unknown(String why)) {
      throw unknown(name, why);
    }
    // Lost: another asks for the same, and one save serves both.
    return k;
  }

  private Due own(Due due, int k) {
    if (!due.uid().equals(run.uid()) || due.start() != start || due.k() != k) {
      throw new KeepstoneException.Integrity(
          "expected what is due of run "
              + run.uid()
              + ", start "
              + start
              + ", number "
              + k
              + ", found "
              + due,
          run.tier().describe(run.names().due(start, k)),
          "remove the file: it is another's");
    }
    return due;
  }

  private KeepstoneException.OutcomeUnknown unknown(String name, String why) {
    return new KeepstoneException.OutcomeUnknown(
        "put: " + why, run.tier().describe(name), "try again");
  }
}
