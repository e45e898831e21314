package dev.keepstone.store.verify;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.format.safetensors.SafetensorsReader;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongConsumer;

/// Looks whether a checkpoint is what was stored.
public final class Verify {
  private Verify() {}

  /// Looks at manifest, parts, the start it belongs to, and at presence and exact size of every
  /// file; reads no tensor bytes.
  ///
  /// @throws KeepstoneException.NotFound where there is no such checkpoint
  public static VerifyReport quick(Run run, CheckpointId id) {
    Inspection inspection = new Inspection(run, id);
    inspection.objects();
    return inspection.report(false);
  }

  /// [#quick], and reads every byte: every granule, every header, the state trees. Holds four
  /// buffers of 8 MiB and the parts, whatever the size of the checkpoint.
  ///
  /// @param progress is told now and then how many bytes have been read; by several threads
  /// @throws KeepstoneException.NotFound where there is no such checkpoint
  public static VerifyReport deep(Run run, CheckpointId id, LongConsumer progress) {
    Inspection inspection = new Inspection(run, id);
    inspection.objects();
    inspection.contents(progress);
    return inspection.report(true);
  }

  /// Looks at the structure of a safetensors file; it has no checksums, so no look is deep.
  ///
  /// @throws KeepstoneException where the file cannot be read
  public static VerifyReport safetensors(Disk disk, Path file) {
    String name = file.toString();
    try (OpenFile open = disk.open(file)) {
      long size = open.size();
      try {
        SafetensorsReader.read(open, name);
        return new VerifyReport(false, 1, size, List.of());
      } catch (KeepstoneException.Integrity e) {
        Problem problem =
            Problem.of(
                name, Problem.Kind.HEADER, "a safetensors file", e.what() + " (" + e.on() + ")");
        return new VerifyReport(false, 1, size, List.of(problem));
      }
    } catch (IOException e) {
      throw KeepstoneException.from(e, "verifying", name);
    }
  }
}
