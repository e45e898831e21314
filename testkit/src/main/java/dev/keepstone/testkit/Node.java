package dev.keepstone.testkit;

/// What a name of a [MemoryDisk] stands for. Equal to nothing but itself.
sealed interface Node permits Folder, Inode {}
