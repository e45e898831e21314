package dev.keepstone.store.journal;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Batch;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.fact.Stamp;
import dev.keepstone.store.object.Names.BatchName;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.tier.Put;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;

/// One process's pen for the facts of one run. What [#append] returned from is there for ever; what
/// it threw on may be there or not.
///
/// Safe for use by several threads. Several journals of one nonce must share their [Run], which
/// gives out the numbers.
public final class Journal {
  private final Run run;
  private final InstantSource clock;
  private final String nonce;
  private final String by;

  private Instant last = Instant.EPOCH;

  private Journal(Run run, InstantSource clock, String nonce, String by) {
    this.run = run;
    this.clock = clock;
    this.nonce = nonce;
    this.by = by;
  }

  /// @param nonce 8 hex digits, new for every process
  /// @param by the writer, for people
  public static Journal of(Run run, InstantSource clock, String nonce, String by) {
    return new Journal(run, clock, nonce, by);
  }

  /// Writes facts down. They are newer than all that this process has read of the run, and each is
  /// newer than those before it.
  ///
  /// @param facts more than a batch holds are written in several, of which the first may be there
  ///   when a later one fails
  /// @throws KeepstoneException.OutcomeUnknown where nobody can say whether they are there
  /// @throws KeepstoneException where they certainly are not: no space, no rights
  public synchronized void append(List<? extends Fact> facts) {
    for (int from = 0; from < facts.size(); from += Batch.MOST_FACTS) {
      int to = Math.min(facts.size(), from + Batch.MOST_FACTS);
      put(List.copyOf(facts.subList(from, to)));
    }
  }

  private void put(List<Fact> facts) {
    Instant newest = run.knownFacts().newest();
    last = Stamp.after(newest.isAfter(last) ? newest : last, clock.instant());
    while (true) {
      // A number is used once, whatever became of it: a put whose outcome is unknown may still
      // land, and what lands under its name must be what was written then.
      BatchName name = run.nextBatch(nonce);
      String file = run.names().batch(name);
      byte[] bytes = new Batch(run.uid(), name, last, by, facts).encode();
      switch (run.tier().put(file, bytes)) {
        case Put.Committed() -> {
          return;
        }
        case Put.Lost lost -> {
          // Another process has our nonce by chance, and took the number.
        }
        case Put.Unknown(String why) ->
            throw new KeepstoneException.OutcomeUnknown(
                "whether it was written down is not known: " + why,
                run.tier().describe(file),
                "look whether it is there, and say it again where it is not: twice does no harm");
      }
    }
  }
}
