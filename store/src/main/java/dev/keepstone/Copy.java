package dev.keepstone;

import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.run.Run;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// Copies a checkpoint into another store: the same run, the same id, the same bytes.
public final class Copy {
  private Copy() {}

  /// What was copied.
  ///
  /// @param run its name there
  /// @param ids what is there now: those whose shards the checkpoint uses, and itself last
  /// @param files how many were written
  /// @param bytes written
  /// @param keptBytes found there from an earlier copy, and checked
  /// @param facts how many were taken along: metrics, tags, pins, notes
  /// @param warnings what was left as it was there
  public record Report(
      String run,
      List<CheckpointId> ids,
      long files,
      long bytes,
      long keptBytes,
      long facts,
      List<String> warnings) {
    public Report {
      ids = List.copyOf(ids);
      warnings = List.copyOf(warnings);
    }
  }

  /// Copies one checkpoint and what it uses of others.
  ///
  /// Every byte is held against its checksum on the way, and the manifest comes last. What an
  /// interrupted copy left is checked and kept; a file that is damaged there is replaced, so that a
  /// copy also repairs.
  ///
  /// @param source `STORE/RUN@WHICH`
  /// @param target `STORE` or `STORE/RUN`; a folder that is missing or empty becomes a store
  /// @throws KeepstoneException.Refused where another run of that name is there, or the run has
  ///   gone another way there
  /// @throws IOException where this thread was interrupted
  public static Report run(Host host, String source, String target, Progress progress)
      throws IOException {
    Reference from = Reference.parse(source, host.disk());
    Run run = Store.open(host, from.store()).run(from.run());
    CheckpointId id = run.lookDecided(host.clock()).find(from.which());
    Place place = place(host, target, run.name());
    if (place.store.equals(from.store()) && place.names.run().equals(run.name())) {
      throw new KeepstoneException.Refused(
          "source and target are the same run", target, "name another store");
    }
    return new Copying(host, run, place.store, place.names, progress).copy(id);
  }

  private record Place(Path store, Names names) {}

  private static Place place(Host host, String target, String run) {
    Optional<Reference> known = Reference.find(target, host.disk());
    if (known.isPresent()) {
      if (!known.get().which().equals(Which.LATEST)) {
        throw notAPlace(target);
      }
      return new Place(known.get().store(), names(known.get().run().orElse(run), target));
    }
    try {
      Path store = Path.of(target).toAbsolutePath().normalize();
      if (!host.disk().list(store).stream().allMatch(Import::isMarkerOnItsWay)) {
        if (Reference.find(target, host.disk()).isPresent()) {
          // Another copy has made the store since we looked for one.
          return place(host, target, run);
        }
        throw new KeepstoneException.Refused(
            "the folder is not empty and no store", store.toString(), "keepstone init " + store);
      }
      return new Place(store, names(run, target));
    } catch (InvalidPathException e) {
      throw notAPlace(target);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "could not look at the store", target);
    }
  }

  private static Names names(String run, String target) {
    if (!Names.isRun(run)) {
      throw notAPlace(target);
    }
    return new Names(run);
  }

  private static KeepstoneException.Refused notAPlace(String target) {
    return new KeepstoneException.Refused(
        "a checkpoint is copied into a store or a run, as STORE or STORE/RUN",
        target,
        "as in /mnt/backup/ckpts; it keeps its id");
  }
}
