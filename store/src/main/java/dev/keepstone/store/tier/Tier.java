package dev.keepstone.store.tier;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/// One place of several a run is kept in, and every act on it that the protocols are made of.
///
/// Names are relative to the store's root, with `/` between their segments; each segment is
/// letters, digits, `.`, `_` and `-` and begins with a letter or digit, so that no name leaves the
/// store. Nothing is ever overwritten. Failures are [dev.keepstone.core.failure.KeepstoneException]
/// and name the object.
public interface Tier {
  /// Gives a name its bytes, at most once ever (docs/spec/store.md, section 3). Missing directories
  /// are made.
  ///
  /// @throws dev.keepstone.core.failure.KeepstoneException where it certainly did not happen: no
  ///   space, no rights
  Put put(String name, byte[] bytes);

  /// All bytes of an object, or empty where the name is free.
  Optional<byte[]> read(String name);

  /// Names directly in a directory, in no order; empty for a missing one.
  default List<String> list(String directory) {
    return entries(directory).stream().map(Disk.Entry::name).toList();
  }

  /// [#list] with sizes and kinds.
  List<Disk.Entry> entries(String directory);

  /// When a name was last written, by the clock of whoever keeps it, to be compared with nothing
  /// but other such times; empty where the name is free, and where the place does not tell.
  default Optional<Instant> modified(String name) {
    return Optional.empty();
  }

  /// What lies directly in the store's root.
  List<Disk.Entry> root();

  /// Removes an object or an empty directory; a missing one is success, a directory that is not
  /// empty stays.
  void delete(String name);

  /// Makes a new file for writing under its final name, which must be the caller's alone. Missing
  /// directories are made.
  OpenFile createShard(String name);

  /// Opens a file for reading.
  OpenFile openShard(String name);

  /// Makes the names in a directory durable.
  void syncDirectory(String directory);

  /// Bytes that may still be written.
  long usableBytes();

  /// How old a listing of this place may be. Zero where whoever lists sees everything that was put
  /// before.
  Duration staleness();

  /// The name as people know it, for messages: with the place.
  String describe(String name);
}
