package dev.keepstone.store.journal;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Covers;
import dev.keepstone.store.fact.Snapshot;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Names.BatchName;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.FactsSeen;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.Run.LookToRecord;
import dev.keepstone.store.run.View;
import dev.keepstone.store.tier.Put;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.TreeSet;

/// Writes down all that is known of a run in one object, and removes what two good ones of these
/// make needless.
///
/// Any process may do it at any time; of two who do it at once, one number has one snapshot.
public final class Snapshots {
  /// Objects that a reader may have to read besides a snapshot before another one is worth it.
  private static final int FEW = 256;

  /// Where there is much in the snapshot already, writing all of it again is worth it only for a
  /// part as large as one in so many.
  private static final int SHARE = 50;

  private Snapshots() {}

  /// Takes a snapshot where enough came after the last one, then removes what is needless.
  ///
  /// @return the snapshot's number, where one was taken
  public static Optional<Long> takeWhenDue(Run run, InstantSource clock) {
    LookToRecord look = run.lookToRecord();
    return due(look) ? take(run, look, clock) : Optional.empty();
  }

  /// Takes a snapshot whatever came after the last one, then removes what is needless.
  ///
  /// @return its number; empty where it was not to be had
  public static Optional<Long> take(Run run, InstantSource clock) {
    return take(run, run.lookToRecord(), clock);
  }

  private static boolean due(LookToRecord look) {
    FactsSeen seen = look.facts();
    FactsSeen.Contained contained = seen.contained();
    boolean damaged = !seen.snapshots().isEmpty() && seen.snapshots().last() > seen.base();
    long loose =
        seen.batches().stream().filter(name -> !contained.covers().has(name)).count()
            + Math.max(0, look.view().manifests().size() - contained.checkpoints())
            + purged(look.view()).size()
            - contained.purged();
    return damaged || loose >= FEW + (contained.checkpoints() + contained.purged()) / SHARE;
  }

  private static Optional<Long> take(Run run, LookToRecord look, InstantSource clock) {
    FactsSeen seen = look.facts();
    // A newer Keepstone says what we cannot read: a snapshot without it would be taken for whole.
    if (seen.damaged().stream().anyMatch(d -> d.why() instanceof KeepstoneException.Unsupported)) {
      return Optional.empty();
    }
    long number = seen.snapshots().isEmpty() ? 1 : seen.snapshots().last() + 1;
    NavigableSet<CheckpointId> purged = purged(look.view());
    List<Manifest.Summary> checkpoints = new ArrayList<>(look.view().manifests().values());
    checkpoints.removeIf(summary -> purged.contains(summary.id()));
    Snapshot snapshot =
        new Snapshot(
            run.uid(), number, clock.instant(), seen.covers(), purged, checkpoints, seen.facts());
    String name = run.names().snapshot(number);
    byte[] bytes = snapshot.encode(run.tier().describe(name));
    // Lost: another process took it. Unknown: the next round tells.
    if (!(run.tier().put(name, bytes) instanceof Put.Committed)) {
      return Optional.empty();
    }
    removeNeedless(run);
    return Optional.of(number);
  }

  /// Every checkpoint of which the look says that it is gone for ever.
  private static NavigableSet<CheckpointId> purged(View view) {
    NavigableSet<CheckpointId> purged = new TreeSet<>(view.tombs().gone());
    view.tombs().tombs().keySet().stream().filter(view.tombs()::purged).forEach(purged::add);
    return purged;
  }

  /// Removes what the two newest good snapshots both contain: batches, tombs and ends of purged
  /// checkpoints, and older snapshots. Both are read for this, to the last byte: one that was good
  /// when it was written is not yet one that can be read.
  private static void removeNeedless(Run run) {
    FactsSeen seen = run.lookAtFacts();
    List<Contents> good = new ArrayList<>();
    for (long number : seen.snapshots().descendingSet()) {
      if (good.size() < 2) {
        contents(run, number).ifPresent(good::add);
      }
    }
    if (good.size() < 2) {
      return;
    }
    Contents newer = good.getFirst();
    Contents older = good.getLast();
    for (BatchName name : seen.batches()) {
      if (newer.covers.has(name) && older.covers.has(name)) {
        run.tier().delete(run.names().batch(name));
      }
    }
    removeTombs(run, newer, older);
    for (long number : seen.snapshots().headSet(older.number, false)) {
      run.tier().delete(run.names().snapshot(number));
    }
  }

  private record Contents(long number, Covers covers, NavigableSet<CheckpointId> purged) {}

  private static Optional<Contents> contents(Run run, long number) {
    String name = run.names().snapshot(number);
    try {
      return run.tier()
          .read(name)
          .map(bytes -> Snapshot.decode(bytes, run.uid(), run.tier().describe(name)))
          .map(read -> new Contents(number, read.covers(), read.purged()));
    } catch (KeepstoneException e) {
      // Looks name it; here it only does not count.
      return Optional.empty();
    }
  }

  private static void removeTombs(Run run, Contents newer, Contents older) {
    List<String> files = run.tier().list(run.names().tombs());
    // The tomb before its end: alone, it would be an open one.
    for (String file : files) {
      Names.tombOf(file)
          .filter(tomb -> newer.purged.contains(tomb.id()) && older.purged.contains(tomb.id()))
          .ifPresent(tomb -> run.tier().delete(run.names().tomb(tomb.id(), tomb.k())));
    }
    for (String file : files) {
      Names.endOf(file)
          .filter(end -> newer.purged.contains(end.id()) && older.purged.contains(end.id()))
          .ifPresent(end -> run.tier().delete(run.names().end(end.id(), end.k())));
    }
  }
}
