package dev.keepstone.store.tier;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// A directory of a local or shared file system as a place for runs.
///
/// Safe for use by several threads.
public final class LocalTier implements Tier {
  /// The largest object that [#read] gives: what the specification allows.
  private static final long MAX_OBJECT_BYTES = 256L << 20;

  /// The names that a tier takes: segments that begin with a letter or digit can neither be empty
  /// nor climb out of the store.
  private static final Pattern NAME =
      Pattern.compile("[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*");

  private final Disk disk;
  private final Path root;
  private final Duration staleness;
  private final Publisher publisher;

  /// Directories of whose names everything up to the root is durable.
  private final Set<Path> durable = ConcurrentHashMap.newKeySet();

  /// @param root the store's directory; made by the first put
  /// @param nonce this process's, for temporary names
  /// @param staleness how old a listing of this file system may be: zero for local ones
  public LocalTier(Disk disk, Path root, StoreClock clock, String nonce, Duration staleness) {
    this.disk = disk;
    this.root = root.toAbsolutePath().normalize();
    this.staleness = staleness;
    this.publisher = new Publisher(disk, clock, nonce);
  }

  @Override
  public Put put(String name, byte[] bytes) {
    Path target = path(name);
    for (boolean again = false; ; again = true) {
      try {
        ensureDirectory(parent(target));
        return publisher.put(target, bytes, describe(name));
      } catch (NoSuchFileException e) {
        // A deleter may have taken the empty directory away between making and using it.
        durable.clear();
        if (again) {
          throw KeepstoneException.from(e, "putting", describe(name));
        }
      } catch (IOException e) {
        throw KeepstoneException.from(e, "putting", describe(name));
      }
    }
  }

  @Override
  public Optional<byte[]> read(String name) {
    try {
      return Optional.ofNullable(readAll(disk, path(name), describe(name)));
    } catch (IOException e) {
      throw KeepstoneException.from(e, "reading", describe(name));
    }
  }

  /// All bytes of a small file, or null where there is none.
  static byte @Nullable [] readAll(Disk disk, Path path, String describe) throws IOException {
    try (OpenFile file = disk.open(path)) {
      long size = file.size();
      if (size > MAX_OBJECT_BYTES) {
        throw new KeepstoneException.Integrity(
            "expected at most " + MAX_OBJECT_BYTES + " bytes, found " + size,
            describe,
            "take another checkpoint, or bring back a good copy of this file");
      }
      byte[] bytes = new byte[Math.toIntExact(size)];
      long count = file.read(0, MemorySegment.ofArray(bytes));
      if (count != size) {
        throw new IOException("read " + count + " of " + size + " bytes");
      }
      return bytes;
    } catch (NoSuchFileException e) {
      return null;
    }
  }

  @Override
  public List<String> list(String directory) {
    try {
      return disk.names(path(directory));
    } catch (IOException e) {
      throw KeepstoneException.from(e, "listing", describe(directory));
    }
  }

  @Override
  public List<Disk.Entry> entries(String directory) {
    try {
      return disk.list(path(directory));
    } catch (IOException e) {
      throw KeepstoneException.from(e, "listing", describe(directory));
    }
  }

  @Override
  public Optional<Instant> modified(String name) {
    try {
      return disk.modified(path(name));
    } catch (IOException e) {
      throw KeepstoneException.from(e, "asking for the age of", describe(name));
    }
  }

  @Override
  public List<Disk.Entry> root() {
    try {
      return disk.list(root);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "listing", root.toString());
    }
  }

  @Override
  public void delete(String name) {
    try {
      disk.delete(path(name));
    } catch (DirectoryNotEmptyException e) {
      // Foreign files keep their directory.
    } catch (IOException e) {
      throw KeepstoneException.from(e, "deleting", describe(name));
    }
  }

  @Override
  public OpenFile createShard(String name) {
    Path path = path(name);
    try {
      ensureDirectory(parent(path));
      try {
        return disk.create(path);
      } catch (NoSuchFileException e) {
        durable.clear();
        ensureDirectory(parent(path));
        return disk.create(path);
      }
    } catch (IOException e) {
      throw KeepstoneException.from(e, "creating", describe(name));
    }
  }

  @Override
  public OpenFile openShard(String name) {
    try {
      return disk.open(path(name));
    } catch (IOException e) {
      throw KeepstoneException.from(e, "opening", describe(name));
    }
  }

  @Override
  public void syncDirectory(String directory) {
    try {
      disk.syncDirectory(path(directory));
    } catch (IOException e) {
      throw KeepstoneException.from(e, "syncing", describe(directory));
    }
  }

  @Override
  public long usableBytes() {
    try {
      return disk.usableBytes(root);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "asking for free space", root.toString());
    }
  }

  @Override
  public Duration staleness() {
    return staleness;
  }

  @Override
  public String describe(String name) {
    return root.resolve(name).toString();
  }

  /// Makes a directory and sees to it that its name and those above it are durable, whoever made
  /// them: another process may have made one a moment ago and not have synced it yet, and what we
  /// put into it would go with it.
  private void ensureDirectory(Path directory) throws IOException {
    if (durable.contains(directory)) {
      return;
    }
    if (directory.equals(root)) {
      disk.createDirectories(root);
      syncAbove(root);
    } else {
      Path parent = parent(directory);
      ensureDirectory(parent);
      disk.createDirectories(directory);
      disk.syncDirectory(parent);
    }
    durable.add(directory);
  }

  /// Of who made the root and the folders above it we know as little. They may be others' folders,
  /// which cannot be synced by us; then they were not made for this store a moment ago.
  private void syncAbove(Path directory) {
    for (Path above = directory.getParent(); above != null; above = above.getParent()) {
      try {
        disk.syncDirectory(above);
      } catch (IOException e) {
        System.getLogger(LocalTier.class.getName())
            .log(System.Logger.Level.DEBUG, "not synced: " + above, e);
      }
    }
  }

  private Path path(String name) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException("no name of a store: \"" + name + "\"");
    }
    return root.resolve(name);
  }

  private static Path parent(Path path) {
    Path parent = path.getParent();
    if (parent == null) {
      throw new IllegalArgumentException(path + " has no parent");
    }
    return parent;
  }
}
