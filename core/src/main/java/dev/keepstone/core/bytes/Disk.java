package dev.keepstone.core.bytes;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/// Every act on a file system that Keepstone performs, so that a test can make any of them fail,
/// tear or be forgotten.
///
/// Durability is the caller's business: nothing is synced unless asked. Failures are the JDK's:
/// `FileAlreadyExistsException`, `NoSuchFileException`, `AccessDeniedException`, else `IOException`
/// with the system's reason. No method ever replaces an existing file.
public interface Disk {
  /// The operating system's files.
  static Disk local() {
    return LocalDisk.INSTANCE;
  }

  /// Makes a directory and its missing ancestors; each made one is synced into its parent, from the
  /// top down.
  void createDirectories(Path directory) throws IOException;

  /// Makes a new file for writing and reading.
  ///
  /// @throws java.nio.file.FileAlreadyExistsException where the name is taken
  OpenFile create(Path file) throws IOException;

  /// Opens an existing file for reading.
  OpenFile open(Path file) throws IOException;

  /// Gives an existing file a second name, atomically, and never over an existing one.
  ///
  /// @throws UnsupportedOperationException where the file system has no hard links
  void link(Path file, Path name) throws IOException;

  /// Moves a file to a name that must be free, atomically.
  ///
  /// @throws UnsupportedOperationException where that cannot be had in one act
  void renameToFree(Path file, Path name) throws IOException;

  /// Removes a file or an empty directory; a missing one is success.
  void delete(Path file) throws IOException;

  /// What lies directly in a directory, in no order; empty for a missing directory.
  List<Entry> list(Path directory) throws IOException;

  /// [#list] without looking at what the names stand for, which costs a question each.
  default List<String> names(Path directory) throws IOException {
    return list(directory).stream().map(Entry::name).toList();
  }

  /// When a file was last written, by the clock of whoever keeps it; empty where it is missing, and
  /// on a disk that does not tell.
  default Optional<Instant> modified(Path file) throws IOException {
    return Optional.empty();
  }

  /// Makes the names in a directory durable.
  void syncDirectory(Path directory) throws IOException;

  /// Bytes that a caller without privileges may still write under this path.
  long usableBytes(Path directory) throws IOException;

  /// One name in a directory.
  ///
  /// @param byteLength size of a regular file, else 0
  /// @param kind symbolic links are not followed
  record Entry(String name, long byteLength, Kind kind) {}

  /// What a name stands for.
  enum Kind {
    FILE,
    DIRECTORY,
    OTHER
  }
}
