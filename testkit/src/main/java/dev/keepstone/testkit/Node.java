package dev.keepstone.testkit;

import java.time.Instant;

/// What a name of a [MemoryDisk] stands for. Equal to nothing but itself.
sealed interface Node permits Folder, Inode {
  /// When it was last changed, by the disk's clock.
  Instant modified();
}
