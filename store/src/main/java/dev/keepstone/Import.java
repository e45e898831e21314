package dev.keepstone;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.convert.ConvertReport;
import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.StoreMarker;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.tier.Tier;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/// Makes a checkpoint of any format the first one of a new run.
public final class Import {
  private Import() {}

  /// What is wanted.
  ///
  /// @param step of the checkpoint; where it is empty what the source says, else 0
  /// @param strictPickle whether objects of unknown classes are refused, as [Checkpoints#open(Host,
  ///   String, boolean)] does
  public record Options(OptionalLong step, boolean strictPickle) {
    /// The step that the source says.
    public static final Options DEFAULT = new Options(OptionalLong.empty(), false);
  }

  /// What was made.
  ///
  /// @param id of the checkpoint in its new run
  /// @param report its operations; format `keepstone`
  public record Report(CheckpointId id, ConvertReport report) {}

  /// Copies a checkpoint into a new run.
  ///
  /// The run appears when all tensor bytes are durable, and its checkpoint last of all. A store is
  /// made where there is none and the folder is free.
  ///
  /// @param source reference or path, as [Checkpoints#open] takes it
  /// @param target `STORE/RUN`
  /// @throws KeepstoneException.Refused where the run exists
  /// @throws KeepstoneException of the kind of what went wrong; there is no checkpoint then
  public static Report run(
      Host host, String source, String target, Options options, Progress progress) {
    Place place = place(host, target);
    boolean free = !isThere(host, place.store);
    boolean done = false;
    try (CheckpointView view = Checkpoints.open(host, source, options.strictPickle())) {
      requireFree(place);
      CheckpointId id = new CheckpointId(1, step(view, options, source));
      Report report =
          new Importing(host, view, place.tier, place.names, id, progress)
              .run(() -> Store.init(host, place.store).runOrMake(host, place.names.run()), source);
      done = true;
      return report;
    } catch (IOException e) {
      throw KeepstoneException.from(e, "could not import the checkpoint", source);
    } finally {
      if (free && !done) {
        removeEmpty(host, place.store);
      }
    }
  }

  private static boolean isThere(Host host, Path store) {
    Path parent = store.getParent();
    try {
      return parent == null
          || host.disk().names(parent).contains(String.valueOf(store.getFileName()));
    } catch (IOException e) {
      // Then it is not ours to remove.
      return true;
    }
  }

  /// The folder that a failed import made for a store; it stays where there is anything in it.
  private static void removeEmpty(Host host, Path store) {
    try {
      host.disk().delete(store);
    } catch (IOException e) {
      System.getLogger(Import.class.getName())
          .log(System.Logger.Level.DEBUG, "left behind: " + store, e);
    }
  }

  /// Where the run is going to be.
  private record Place(Path store, Tier tier, Names names) {}

  private static Place place(Host host, String target) {
    Optional<Reference> known = Reference.find(target, host.disk());
    if (known.isPresent()) {
      Reference reference = known.get();
      if (reference.run().isEmpty() || !reference.which().equals(Which.LATEST)) {
        throw notARun(target);
      }
      return place(host, reference.store(), reference.run().get(), target);
    }
    try {
      Path run = Path.of(target).toAbsolutePath().normalize();
      Path store = run.getParent();
      if (store == null) {
        throw notARun(target);
      }
      // A marker on its way to its name, or left on it by who died, makes the folder no one else's.
      if (!host.disk().list(store).stream().allMatch(Import::isMarkerOnItsWay)) {
        throw new KeepstoneException.Refused(
            "the folder is not empty and no store", store.toString(), "keepstone init " + store);
      }
      return place(host, store, run.getFileName().toString(), target);
    } catch (InvalidPathException e) {
      throw notARun(target);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "could not look at the store", target);
    }
  }

  static boolean isMarkerOnItsWay(Disk.Entry entry) {
    return entry.name().startsWith(StoreMarker.NAME + ".");
  }

  private static Place place(Host host, Path store, String run, String target) {
    if (!Names.isRun(run)) {
      throw notARun(target);
    }
    return new Place(store, host.tier(store), new Names(run));
  }

  private static KeepstoneException.Refused notARun(String target) {
    return new KeepstoneException.Refused(
        "a new run is named as STORE/RUN, with letters, digits, '.', '_' and '-'",
        target,
        "as in ckpts/gpt-small");
  }

  private static void requireFree(Place place) {
    String starts = place.names.starts();
    if (place.tier.read(place.names.marker()).isPresent() && !place.tier.list(starts).isEmpty()) {
      throw new KeepstoneException.Refused(
          "the run exists, and an import makes a new one",
          place.tier.describe(place.names.run()),
          "name another run");
    }
  }

  private static long step(CheckpointView view, Options options, String source) {
    long step = options.step().orElseGet(() -> stepOf(view));
    if (step < 0 || step > CheckpointId.MAX_STEP) {
      throw new KeepstoneException.Refused(
          "expected a step from 0 to " + CheckpointId.MAX_STEP + ", found " + step,
          source,
          "give --step");
    }
    return step;
  }

  /// What trainers write into the metadata, where it is a number.
  private static long stepOf(CheckpointView view) {
    for (String key : List.of("step", "global_step")) {
      String text = view.metadata().getOrDefault(key, "");
      if (text.matches("[0-9]{1,15}")) {
        return Long.parseLong(text);
      }
    }
    return 0;
  }
}
