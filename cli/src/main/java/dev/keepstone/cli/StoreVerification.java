package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.run.Damaged;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import dev.keepstone.store.verify.Problem;
import dev.keepstone.store.verify.Scrub;
import dev.keepstone.store.verify.VerifyReport;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.LongConsumer;

/// Verification of one checkpoint, a run or a store, and what it writes down.
///
/// Written down is what changes something: whatever is bad, which quarantines, and what was good to
/// the last byte, which lifts that. A good look at names and sizes says too little to be kept.
final class StoreVerification {
  private final Console console;
  private final Host host;
  private final boolean deep;
  private final boolean scrub;
  private final long bytesPerSecond;
  private final boolean record;
  private final List<Verified> all = new ArrayList<>();
  private final List<Problem> besides = new ArrayList<>();
  private boolean toldReadOnly;

  StoreVerification(
      Console console, boolean deep, boolean scrub, long bytesPerSecond, boolean record) {
    this.console = console;
    this.host = console.shell().host();
    this.deep = deep;
    this.scrub = scrub;
    this.bytesPerSecond = bytesPerSecond;
    this.record = record;
  }

  /// @param one whether the reference names a checkpoint, and not all of a run or store
  List<Verified> verify(Reference reference, boolean one) {
    Store store = Store.open(host, reference.store());
    if (one) {
      Run run = store.run(reference.run());
      View view = run.lookDecided(host.clock());
      verify(run, view, List.of(view.find(reference.which())));
      return all;
    }
    List<String> runs = reference.run().map(List::of).orElseGet(store::runs);
    for (String name : runs) {
      Run run = store.run(Optional.of(name));
      View view = run.lookDecided(host.clock());
      List<CheckpointId> ids =
          new ArrayList<>(scrub ? Scrub.order(view) : view.standing().reversed());
      for (Damaged damaged : view.damaged()) {
        // A checkpoint whose manifest cannot be trusted is one too, and looking at it tells why.
        Optional<CheckpointId> id = Names.manifestOf(damaged.file());
        id.ifPresent(ids::add);
        if (id.isEmpty()) {
          besides.add(
              new Problem(
                  run.tier().describe(damaged.name()),
                  null,
                  null,
                  null,
                  Problem.Kind.MALFORMED,
                  "the object that was put",
                  damaged.why().what()));
        }
      }
      verify(run, view, ids);
    }
    return all;
  }

  /// Objects of runs that are bad and belong to no checkpoint.
  List<Problem> besides() {
    return besides;
  }

  private static long bytes(View view, CheckpointId id) {
    Manifest.Summary summary = view.manifests().get(id);
    return summary == null ? 0 : summary.bytes();
  }

  private void verify(Run run, View view, List<CheckpointId> ids) {
    Journal journal = Journal.of(run, host.clock(), host.nonce(), "keepstone verify");
    Scrub scrubbing = new Scrub(run, host.clock(), host.nonce(), bytesPerSecond);
    List<Fact> verdicts = new ArrayList<>();
    long total = ids.stream().mapToLong(id -> bytes(view, id)).sum();
    long before = 0;
    try (Progress progress = console.progress("verifying " + run.name())) {
      for (CheckpointId id : ids) {
        long base = before;
        before += bytes(view, id);
        Optional<VerifyReport> found =
            look(run, id, scrubbing, ids.size(), done -> progress.set(base + done, total));
        if (found.isEmpty()) {
          continue;
        }
        VerifyReport report = found.get();
        if (deep || !report.ok()) {
          verdicts.add(Scrub.verdict(id, report));
        }
        boolean written = deep && record(journal, verdicts);
        boolean quarantined = report.ok() ? view.quarantined(id) && !(deep && written) : record;
        all.add(new Verified(run.name(), id, report, quarantined));
      }
    }
    record(journal, verdicts);
  }

  private Optional<VerifyReport> look(
      Run run, CheckpointId id, Scrub scrubbing, int of, LongConsumer progress) {
    try {
      return Optional.of(
          deep ? scrubbing.read(id, progress) : dev.keepstone.store.verify.Verify.quick(run, id));
    } catch (KeepstoneException.NotFound e) {
      // One of many that was deleted while the others were looked at is no failure.
      if (of == 1) {
        throw e;
      }
      return Optional.empty();
    }
  }

  /// Writes verdicts down and forgets them.
  ///
  /// @return whether they stand
  private boolean record(Journal journal, List<Fact> verdicts) {
    if (!record || verdicts.isEmpty()) {
      return false;
    }
    try {
      journal.append(verdicts);
      return true;
    } catch (KeepstoneException.Denied e) {
      if (!toldReadOnly) {
        toldReadOnly = true;
        console.note("the store cannot be written to: verdicts are told and not kept");
      }
      return false;
    } finally {
      verdicts.clear();
    }
  }
}
