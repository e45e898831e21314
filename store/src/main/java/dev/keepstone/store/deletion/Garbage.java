package dev.keepstone.store.deletion;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.deletion.Leftover.Kind;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Names.HoldName;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Attempt;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;

/// Finds leftovers of processes that died. What is not ours by name and kind is never looked at: a
/// foreign file, a link, a folder in a place of ours. What somebody may still write or read is told
/// by its age alone ([Ages]): nothing younger than an hour and the margin is a leftover, but what
/// lies there of a purged checkpoint, which nobody can need.
public final class Garbage {
  private static final Duration IDLE = Deletion.ABANDONED;

  private final Run run;
  private final Ages ages;
  private final List<Leftover> found = new ArrayList<>();

  private Garbage(Run run, Ages ages) {
    this.run = run;
    this.ages = ages;
  }

  /// Looks through a run. Of checkpoints that are not purged nothing is found where anything is
  /// doubtful: a start that cannot be read, or one that has not chosen yet.
  public static List<Leftover> find(Run run, Ages ages) {
    Garbage garbage = new Garbage(run, ages);
    View view = run.look();
    garbage.purged();
    garbage.temporaries();
    garbage.holds();
    if (view.starts().damaged().isEmpty()) {
      if (view.undecided()) {
        garbage.undecided(view);
      } else {
        garbage.attempts(view);
        garbage.folders(view);
      }
    }
    return List.copyOf(garbage.found);
  }

  private void purged() {
    Names names = run.names();
    for (CheckpointId id : run.leftovers()) {
      long bytes =
          ours(names.checkpoint(id), Names::inCheckpoint).stream()
              .mapToLong(Disk.Entry::byteLength)
              .sum();
      found.add(
          new Leftover(
              Kind.PURGED, Optional.of(id), names.checkpoint(id), "left of a deletion", bytes));
    }
  }

  private void undecided(View view) {
    int start = view.starts().newest().orElseThrow();
    String name = run.names().start(start);
    if (ages.older(run, name, IDLE)) {
      String why = "start " + start + " never chose what it goes on from, and is made void";
      found.add(new Leftover(Kind.UNDECIDED, Optional.empty(), name, why, 0));
    }
  }

  private void attempts(View view) {
    for (Attempt attempt : run.attempts(view)) {
      CheckpointId id = attempt.id();
      String folder = run.names().checkpoint(id);
      if (!idle(folder)) {
        continue;
      }
      boolean finishable = attempt.complete() && view.starts().line().has(id);
      found.add(
          new Leftover(
              finishable ? Kind.FINISHABLE : Kind.ATTEMPT,
              Optional.of(id),
              folder,
              finishable
                  ? "wants nothing but its manifest"
                  : attempt.refusal().isPresent()
                      ? "abandoned: " + attempt.refusal().get().why().text()
                      : "abandoned: " + attempt.parts().size() + " of its parts were stored",
              attempt.bytes()));
    }
  }

  /// Whether neither a folder nor any file in it was touched for long.
  private boolean idle(String folder) {
    return ages.older(run, folder, IDLE)
        && run.tier().list(folder).stream()
            .allMatch(file -> ages.older(run, folder + "/" + file, IDLE));
  }

  /// What lies in the folders of committed checkpoints and is not in their manifests.
  private void folders(View view) {
    Map<CheckpointId, Set<CheckpointId>> users = new TreeMap<>();
    view.standing()
        .forEach(user ->
            view.summary(user)
                .uses()
                .forEach(used -> users.computeIfAbsent(used, _ -> new HashSet<>()).add(user)));
    Predicate<String> listable = file -> Names.partOf(file).isEmpty() && Names.inCheckpoint(file);
    for (CheckpointId id : view.standing()) {
      // As many names as the manifest lists: nothing besides, without a question for each. Where a
      // file of a checkpoint is missing, something left over may hide behind it until it is mended.
      long names = run.tier().list(run.names().checkpoint(id)).stream().filter(listable).count();
      if (names == view.summary(id).ownFiles()) {
        continue;
      }
      List<Disk.Entry> files = ours(run.names().checkpoint(id), listable);
      Optional<Set<String>> listed = listed(id, users.getOrDefault(id, Set.of()));
      if (listed.isEmpty()) {
        continue;
      }
      for (Disk.Entry file : files) {
        String name = run.names().file(id, file.name());
        if (!listed.get().contains(file.name()) && ages.older(run, name, IDLE)) {
          boolean temporary = Names.temporaryOf(file.name()).isPresent();
          found.add(
              new Leftover(
                  temporary ? Kind.TEMPORARY : Kind.ORPHAN,
                  Optional.of(id),
                  name,
                  temporary ? "never published" : "in no part of the checkpoint",
                  file.byteLength()));
        }
      }
    }
  }

  /// Files of a checkpoint by its own manifest and by those that use it; empty where one of them
  /// cannot be read, for then nobody knows.
  private Optional<Set<String>> listed(CheckpointId id, Set<CheckpointId> users) {
    Set<String> listed = new HashSet<>();
    try {
      Optional<Manifest> own = run.findManifest(id);
      if (own.isEmpty()) {
        return Optional.empty();
      }
      own.get().files().forEach(file -> listed.add(file.file()));
      for (CheckpointId user : users) {
        run.findManifest(user)
            .ifPresent(manifest ->
                manifest.files().stream()
                    .filter(file -> id.equals(file.from()))
                    .forEach(file -> listed.add(file.file())));
      }
      return Optional.of(listed);
    } catch (KeepstoneException e) {
      return Optional.empty();
    }
  }

  private void temporaries() {
    Names names = run.names();
    temporary(run.name(), "run.json"::equals);
    temporary(
        names.starts(),
        file -> Names.startOf(file).isPresent() || Names.parentOf(file).isPresent());
    temporary(names.manifests(), file -> Names.manifestOf(file).isPresent());
    temporary(
        names.tombs(),
        file ->
            Names.tombOf(file).isPresent() || Names.endOf(file).isPresent() || Names.isProbe(file));
    temporary(names.holds(), file -> Names.holdOf(file).isPresent());
    temporary(
        names.facts(),
        file -> Names.batchOf(file).isPresent() || Names.snapshotOf(file).isPresent());
    for (Disk.Entry probe : ours(names.tombs(), Names::isProbe)) {
      add(Kind.TEMPORARY, names.tombs() + "/" + probe.name(), "of nobody any more", probe);
    }
  }

  private void temporary(String directory, Predicate<String> published) {
    Predicate<String> ours = file -> Names.temporaryOf(file).filter(published).isPresent();
    for (Disk.Entry file : ours(directory, ours)) {
      add(Kind.TEMPORARY, directory + "/" + file.name(), "never published", file);
    }
  }

  private void holds() {
    for (HoldName hold : run.holds()) {
      String name = run.names().hold(hold.id(), hold.nonce(), hold.k());
      if (ages.older(run, name, IDLE)) {
        found.add(new Leftover(Kind.HOLD, Optional.of(hold.id()), name, "its reader has died", 0));
      }
    }
  }

  private void add(Kind kind, String name, String why, Disk.Entry file) {
    if (ages.older(run, name, IDLE)) {
      found.add(new Leftover(kind, Optional.empty(), name, why, file.byteLength()));
    }
  }

  private List<Disk.Entry> ours(String directory, Predicate<String> ours) {
    // Most often none, and what its names stand for is asked for each.
    if (run.tier().list(directory).stream().noneMatch(ours)) {
      return List.of();
    }
    return run.tier().entries(directory).stream()
        .filter(entry -> entry.kind() == Disk.Kind.FILE && ours.test(entry.name()))
        .toList();
  }
}
