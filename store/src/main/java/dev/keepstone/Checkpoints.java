package dev.keepstone;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.format.safetensors.SafetensorsView;
import dev.keepstone.core.format.torch.TorchView;
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

  /// Opens what a reference or a path names; objects of classes that are not known become opaque
  /// ones. See [#open(Host, String, boolean)].
  public static CheckpointView open(Host host, String reference) {
    return open(host, reference, false);
  }

  /// Opens what a reference (`STORE/RUN@WHICH`) or a path names. What lies in no store is told by
  /// its content: a safetensors file, an index, or a folder of them; a file of `torch.save`.
  ///
  /// A checkpoint of a store is held against deletion from the first byte read to the close, and
  /// every byte read is checked.
  ///
  /// @param strictPickle whether a pickle may name nothing but what builds data; objects of other
  ///   classes become opaque ones of the state tree otherwise, and are never made either way
  /// @throws KeepstoneException.NotFound where nothing is there
  /// @throws KeepstoneException.Unsupported where it is of no known format
  /// @throws KeepstoneException.Refused where a pickle names what no checkpoint of data needs
  /// @throws KeepstoneException.Integrity where its structure is broken
  public static CheckpointView open(Host host, String reference, boolean strictPickle) {
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
      Optional<TorchView> torch = TorchView.open(host.disk(), Path.of(reference), strictPickle);
      if (torch.isPresent()) {
        return torch.get();
      }
    } catch (InvalidPathException e) {
      throw new KeepstoneException.NotFound("not a path", reference, "write STORE/RUN@WHICH");
    } catch (IOException e) {
      throw KeepstoneException.from(e, "could not open the checkpoint", reference);
    }
    throw new KeepstoneException.Unsupported(
        "nothing known is in it: no store, no safetensors file, index or folder of them, no file of"
            + " torch.save",
        reference,
        "name a checkpoint as STORE/RUN@WHICH, a safetensors file or folder, or a file of"
            + " torch.save");
  }
}
