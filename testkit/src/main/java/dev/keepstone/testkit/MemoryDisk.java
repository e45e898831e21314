package dev.keepstone.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// A disk in memory that knows what a loss of power would leave of it.
///
/// Crash model, as hostile as POSIX allows and a device can be. A crash may come between any two
/// operations ([FaultyDisk] and [TurnsDisk] see to that), and of what was not synced before it
/// ([#afterCrash]):
/// - a change of a directory (a name made, linked, moved or removed) is durable once that directory
///   was synced, whatever was synced of the file; before, it is lost or kept, each change apart
///   from the others and in no order, a move as one change. The name of a directory is its
///   parent's: with it goes everything below, synced or not;
/// - a write or truncation of a file is durable once the file was synced; before, it is lost, kept,
///   kept up to any byte, kept in some sectors of 512 bytes and not in others, there in length but
///   zero, or kept with one bit flipped; each apart from the others, and at times in another order
///   than they were made in;
/// - nothing durable is ever lost or changed. A device that lies about it is not modelled, nor is
///   one that rots: that is for tests of verification, which damage files themselves.
///
/// How much is kept is drawn once a crash, so that among many seeds there are crashes that keep
/// nearly everything and crashes that keep nearly nothing. The same generator gives the same crash.
///
/// Safe for use by several threads. Paths are made absolute and normal; nothing outside memory is
/// touched.
public final class MemoryDisk implements Disk, GatedDisk.Steps {
  private static final long USABLE_BYTES = 1L << 40;

  private final Folder root;
  private final InstantSource clock;

  /// An empty disk whose clock stands still.
  public MemoryDisk() {
    this(InstantSource.fixed(Instant.EPOCH));
  }

  /// An empty disk.
  ///
  /// @param clock by which it tells when a file was written
  public MemoryDisk(InstantSource clock) {
    this(new Folder(clock.instant()), clock);
  }

  private MemoryDisk(Folder root, InstantSource clock) {
    this.root = root;
    this.clock = clock;
  }

  /// What a crash leaves at worst: everything unsynced is gone.
  public synchronized MemoryDisk afterCrash() {
    return new MemoryDisk(root.survivor(new Aftermath(null)), clock);
  }

  /// What a crash leaves when luck decides over everything unsynced.
  public synchronized MemoryDisk afterCrash(RandomGenerator luck) {
    return new MemoryDisk(root.survivor(new Aftermath(luck)), clock);
  }

  /// A digest of all names and contents, as they are now; equal disks have equal ones. Two names of
  /// one file differ from two equal files.
  public synchronized String fingerprint() {
    MessageDigest digest = sha256();
    digest(root, "", digest, new IdentityHashMap<>());
    return HexFormat.of().formatHex(digest.digest());
  }

  private static void digest(
      Folder folder, String path, MessageDigest digest, Map<Inode, Integer> numbers) {
    folder.now.forEach((name, node) -> {
      String here = path + "/" + name;
      switch (node) {
        case Folder inner -> {
          digest.update(bytes(here + "/\n"));
          digest(inner, here, digest, numbers);
        }
        case Inode inode -> {
          Integer seen = numbers.putIfAbsent(inode, numbers.size());
          digest.update(
              bytes(here + "\n" + (seen == null ? inode.length : -1) + "," + seen + "\n"));
          if (seen == null) {
            digest.update(inode.bytes, 0, inode.length);
          }
        }
      }
    });
  }

  private static byte[] bytes(String text) {
    return text.getBytes(UTF_8);
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public synchronized void createDirectories(Path directory) throws IOException {
    Folder parent = root;
    for (Path name : normal(directory)) {
      boolean made = !parent.now.containsKey(name.toString());
      Folder folder = directory(parent, name.toString(), directory);
      if (made) {
        parent.sync();
      }
      parent = folder;
    }
  }

  @Override
  public synchronized void createDirectory(Path directory) throws IOException {
    Path path = normal(directory);
    if (path.getFileName() != null) {
      directory(parent(path), name(path), directory);
    }
  }

  private Folder directory(Folder parent, String name, Path described) throws IOException {
    switch (parent.now.get(name)) {
      case Folder folder -> {
        return folder;
      }
      case Inode inode -> throw new FileAlreadyExistsException(described.toString());
      case null -> {
        Folder folder = new Folder(clock.instant());
        parent.make(name, folder);
        parent.touch(clock.instant());
        return folder;
      }
    }
  }

  @Override
  public synchronized boolean isDirectory(Path directory) {
    return find(normal(directory)) instanceof Folder;
  }

  @Override
  public synchronized OpenFile create(Path file) throws IOException {
    Path path = normal(file);
    Inode inode = new Inode(clock.instant());
    changed(free(path)).make(name(path), inode);
    return new MemoryFile(path, inode, true);
  }

  @Override
  public synchronized OpenFile open(Path file) throws IOException {
    Path path = normal(file);
    return new MemoryFile(path, existing(path), false);
  }

  @Override
  public synchronized void link(Path file, Path name) throws IOException {
    Inode inode = existing(normal(file));
    Path path = normal(name);
    changed(free(path)).make(name(path), inode);
  }

  @Override
  public synchronized void renameToFree(Path file, Path name) throws IOException {
    Path from = normal(file);
    Path to = normal(name);
    existing(from);
    changed(parent(from)).move(name(from), changed(free(to)), name(to));
  }

  @Override
  public synchronized void delete(Path file) throws IOException {
    Path path = normal(file);
    switch (find(path)) {
      case Folder folder when !folder.now.isEmpty() ->
          throw new DirectoryNotEmptyException(path.toString());
      case Node node -> changed(parent(path)).remove(name(path));
      case null -> {
        // A missing name is success.
      }
    }
  }

  @Override
  public synchronized List<Entry> list(Path directory) throws IOException {
    return switch (find(normal(directory))) {
      case null -> List.of();
      case Inode inode -> throw new NotDirectoryException(directory.toString());
      case Folder folder -> {
        List<Entry> entries = new ArrayList<>();
        folder.now.forEach((name, node) -> entries.add(entry(name, node)));
        yield entries;
      }
    };
  }

  private static Entry entry(String name, Node node) {
    return switch (node) {
      case Folder folder -> new Entry(name, 0, Kind.DIRECTORY);
      case Inode inode -> new Entry(name, inode.length, Kind.FILE);
    };
  }

  @Override
  public synchronized Optional<Instant> modified(Path file) {
    return Optional.ofNullable(find(normal(file))).map(Node::modified);
  }

  @Override
  public synchronized void syncDirectory(Path directory) throws IOException {
    if (!(find(normal(directory)) instanceof Folder folder)) {
      throw new NoSuchFileException(directory.toString());
    }
    folder.sync();
  }

  @Override
  public long usableBytes(Path directory) {
    return USABLE_BYTES;
  }

  private @Nullable Node find(Path path) {
    Node node = root;
    for (Path name : path) {
      node = node instanceof Folder folder ? folder.now.get(name.toString()) : null;
    }
    return node;
  }

  private Folder parent(Path path) throws IOException {
    Path parent = path.getParent();
    if (parent == null || !(find(parent) instanceof Folder folder)) {
      throw new NoSuchFileException(path.toString());
    }
    return folder;
  }

  private Folder changed(Folder folder) {
    folder.touch(clock.instant());
    return folder;
  }

  /// The directory in which a name is free.
  private Folder free(Path path) throws IOException {
    Folder parent = parent(path);
    if (parent.now.containsKey(name(path))) {
      throw new FileAlreadyExistsException(path.toString());
    }
    return parent;
  }

  private Inode existing(Path path) throws IOException {
    return switch (find(path)) {
      case Inode inode -> inode;
      case Folder folder -> throw new FileSystemException(path.toString(), null, "Is a directory");
      case null -> throw new NoSuchFileException(path.toString());
    };
  }

  private static String name(Path path) {
    return String.valueOf(path.getFileName());
  }

  private static Path normal(Path path) {
    return path.toAbsolutePath().normalize();
  }

  private final class MemoryFile implements OpenFile {
    private final Path path;
    private final Inode inode;
    private final boolean writable;
    private boolean open = true;

    MemoryFile(Path path, Inode inode, boolean writable) {
      this.path = path;
      this.inode = inode;
      this.writable = writable;
    }

    private Inode use(boolean writing) throws IOException {
      if (!open) {
        throw new FileSystemException(path.toString(), null, "closed");
      }
      if (writing && !writable) {
        throw new FileSystemException(path.toString(), null, "Bad file descriptor");
      }
      return inode;
    }

    @Override
    public long size() throws IOException {
      synchronized (MemoryDisk.this) {
        return use(false).length;
      }
    }

    @Override
    public long read(long position, MemorySegment target) throws IOException {
      synchronized (MemoryDisk.this) {
        Inode from = use(false);
        long count = Math.clamp(from.length - position, 0L, target.byteSize());
        MemorySegment.copy(
            MemorySegment.ofArray(from.bytes), Math.min(position, from.length), target, 0, count);
        return count;
      }
    }

    @Override
    public void write(long position, MemorySegment source) throws IOException {
      byte[] bytes = new byte[Math.toIntExact(source.byteSize())];
      MemorySegment.ofArray(bytes).copyFrom(source);
      synchronized (MemoryDisk.this) {
        use(true).change(new Inode.ByteChange(Math.toIntExact(position), bytes), clock.instant());
      }
    }

    @Override
    public void reserve(long byteLength) throws IOException {
      synchronized (MemoryDisk.this) {
        int length = use(true).length;
        if (byteLength > length) {
          inode.change(
              new Inode.ByteChange(length, new byte[Math.toIntExact(byteLength - length)]),
              clock.instant());
        }
      }
    }

    @Override
    public void truncate(long byteLength) throws IOException {
      synchronized (MemoryDisk.this) {
        if (byteLength < use(true).length) {
          inode.change(new Inode.ByteChange((int) byteLength, null), clock.instant());
        }
      }
    }

    @Override
    public void sync() throws IOException {
      synchronized (MemoryDisk.this) {
        use(false).sync();
      }
    }

    @Override
    public void close() {
      synchronized (MemoryDisk.this) {
        open = false;
      }
    }
  }
}
