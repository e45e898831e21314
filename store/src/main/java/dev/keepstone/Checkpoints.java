package dev.keepstone;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.format.safetensors.SafetensorsView;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.run.Run;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;

/// Opens any checkpoint: one of a store, or a foreign one.
public final class Checkpoints {
  private Checkpoints() {}

  /// Opens what a path names, on this machine; see [#open(Host, String)].
  public static CheckpointView open(Path path) {
    return open(Host.local(), path.toString());
  }

  /// Opens what a reference (`STORE/RUN@WHICH`) or a path names. What lies in no store is told by
  /// its content: a safetensors file, an index, or a folder of them.
  ///
  /// A checkpoint of a store is held against deletion from the first byte read to the close, and
  /// every byte read is checked.
  ///
  /// @throws KeepstoneException.NotFound where nothing is there
  /// @throws KeepstoneException.Unsupported where it is of no known format
  /// @throws KeepstoneException.Integrity where its structure is broken
  public static CheckpointView open(Host host, String reference) {
    Optional<Reference> stored = Reference.find(reference, host.disk());
    try {
      if (stored.isPresent()) {
        Run run = Store.open(host, stored.get().store()).run(stored.get().run());
        return StoredView.open(host, run, run.lookDecided(host.clock()).find(stored.get().which()));
      }
      Optional<SafetensorsView> view = SafetensorsView.open(host.disk(), Path.of(reference));
      if (view.isPresent()) {
        return view.get();
      }
    } catch (InvalidPathException e) {
      throw new KeepstoneException.NotFound("not a path", reference, "write STORE/RUN@WHICH");
    } catch (IOException e) {
      throw KeepstoneException.from(e, "could not open the checkpoint", reference);
    }
    throw new KeepstoneException.Unsupported(
        "nothing known is in it: no store, no safetensors file, index or folder of them",
        reference,
        "name a checkpoint as STORE/RUN@WHICH, or a safetensors file or folder");
  }
}
