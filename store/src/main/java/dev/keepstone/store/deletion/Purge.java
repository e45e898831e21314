package dev.keepstone.store.deletion;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.tier.Tier;
import java.util.List;

/// Takes away what lies there of a checkpoint whose end says purged: the manifest, then parts, then
/// the rest. What is not ours stays.
final class Purge {
  private Purge() {}

  /// @return bytes of what was removed
  static long purge(Run run, CheckpointId id) {
    Tier tier = run.tier();
    Names names = run.names();
    // Another deleter may not have synced its end yet.
    run.makeDurable(names.tombs());
    tier.delete(names.manifest(id));
    List<Disk.Entry> files =
        tier.entries(names.checkpoint(id)).stream()
            .filter(entry -> entry.kind() == Disk.Kind.FILE && Names.inCheckpoint(entry.name()))
            .toList();
    long bytes = 0;
    for (boolean parts : List.of(true, false)) {
      for (Disk.Entry file : files) {
        if (Names.partOf(file.name()).isPresent() == parts) {
          tier.delete(names.file(id, file.name()));
          bytes += file.byteLength();
        }
      }
    }
    tier.delete(names.checkpoint(id));
    return bytes;
  }
}
