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
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// A disk in memory that knows what a loss of power would leave of it.
///
/// Crash model, as hostile as POSIX allows:
/// - a change of a directory (a name made, moved or removed) is durable once that directory was
///   synced, whatever was synced of the file; before, it may be lost or kept, each change apart
///   from the others, a rename as one change;
/// - a write or truncation of a file is durable once the file was synced; before, it may be lost,
///   kept, or kept up to any byte, each apart from the others;
/// - nothing durable is ever lost. A device that lies about it is not modelled.
///
/// Safe for use by several threads. Paths are made absolute and normal; nothing outside memory is
/// touched.
public final class MemoryDisk implements Disk {
  private static final long USABLE_BYTES = 1L << 40;

  private final Tree now;
  private final Tree durable;
  private final List<Tree.NameChange> unsyncedNames = new ArrayList<>();

  /// An empty disk.
  public MemoryDisk() {
    this(new Tree(), new Tree());
  }

  private MemoryDisk(Tree now, Tree durable) {
    this.now = now;
    this.durable = durable;
  }

  /// What a crash leaves at worst: everything unsynced is gone.
  public synchronized MemoryDisk afterCrash() {
    return survivor(durable.copy(), null);
  }

  /// What a crash leaves when luck decides over everything unsynced.
  public synchronized MemoryDisk afterCrash(RandomGenerator random) {
    Tree left = durable.copy();
    for (Tree.NameChange change : unsyncedNames) {
      if (random.nextBoolean()) {
        change.replay(left);
      }
    }
    return survivor(left, random);
  }

  private static MemoryDisk survivor(Tree names, @Nullable RandomGenerator random) {
    Map<Inode, Inode> survivors = new HashMap<>();
    names.files.replaceAll(
        (path, inode) -> survivors.computeIfAbsent(inode, whole -> whole.survivor(random)));
    return new MemoryDisk(names, names.copy());
  }

  /// A digest of all names and contents, as they are now; equal disks have equal ones. Two names of
  /// one file differ from two equal files.
  public synchronized String fingerprint() {
    MessageDigest digest = sha256();
    Map<Inode, Integer> numbers = new HashMap<>();
    for (Path directory : now.directories) {
      digest.update(bytes(directory + "/\n"));
    }
    now.files.forEach((path, inode) -> {
      Integer seen = numbers.putIfAbsent(inode, numbers.size());
      byte[] head = bytes(path + "\n" + (seen == null ? inode.length : -1) + "," + seen + "\n");
      digest.update(head);
      if (seen == null) {
        digest.update(inode.bytes, 0, inode.length);
      }
    });
    return HexFormat.of().formatHex(digest.digest());
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
    Path path = normal(directory);
    for (Path at = path; at != null; at = at.getParent()) {
      if (now.files.containsKey(at)) {
        throw new FileAlreadyExistsException(at.toString());
      }
    }
    for (Path at = path; at != null && now.directories.add(at); at = at.getParent()) {
      durable.directories.add(at);
    }
  }

  @Override
  public synchronized OpenFile create(Path file) throws IOException {
    Path path = free(file);
    Inode inode = new Inode();
    change(new Tree.NameChange(null, path, inode));
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
    change(new Tree.NameChange(null, free(name), inode));
  }

  @Override
  public synchronized void renameToFree(Path file, Path name) throws IOException {
    Path from = normal(file);
    Inode inode = existing(from);
    change(new Tree.NameChange(from, free(name), inode));
  }

  @Override
  public synchronized void delete(Path file) throws IOException {
    Path path = normal(file);
    if (now.directories.contains(path)) {
      if (!names(path).isEmpty()) {
        throw new DirectoryNotEmptyException(path.toString());
      }
      change(new Tree.NameChange(path, null, null));
    } else if (now.files.containsKey(path)) {
      change(new Tree.NameChange(path, null, null));
    }
  }

  @Override
  public synchronized List<Entry> list(Path directory) throws IOException {
    Path path = normal(directory);
    if (now.files.containsKey(path)) {
      throw new NotDirectoryException(path.toString());
    }
    return names(path);
  }

  private List<Entry> names(Path directory) {
    List<Entry> entries = new ArrayList<>();
    for (Path path : now.directories) {
      if (directory.equals(path.getParent())) {
        entries.add(new Entry(String.valueOf(path.getFileName()), 0, Kind.DIRECTORY));
      }
    }
    now.files.forEach((path, inode) -> {
      if (directory.equals(path.getParent())) {
        entries.add(new Entry(String.valueOf(path.getFileName()), inode.length, Kind.FILE));
      }
    });
    return entries;
  }

  @Override
  public synchronized void syncDirectory(Path directory) throws IOException {
    Path path = normal(directory);
    if (!now.directories.contains(path)) {
      throw new NoSuchFileException(path.toString());
    }
    unsyncedNames.removeIf(change -> {
      boolean here = change.in(path);
      if (here) {
        change.replay(durable);
      }
      return here;
    });
  }

  @Override
  public long usableBytes(Path directory) {
    return USABLE_BYTES;
  }

  private void change(Tree.NameChange change) {
    change.replay(now);
    unsyncedNames.add(change);
  }

  private Path free(Path name) throws IOException {
    Path path = normal(name);
    if (now.files.containsKey(path) || now.directories.contains(path)) {
      throw new FileAlreadyExistsException(path.toString());
    }
    Path parent = path.getParent();
    if (parent == null || !now.directories.contains(parent)) {
      throw new NoSuchFileException(path.toString());
    }
    return path;
  }

  private Inode existing(Path path) throws IOException {
    Inode inode = now.files.get(path);
    if (inode == null) {
      if (now.directories.contains(path)) {
        throw new FileSystemException(path.toString(), null, "Is a directory");
      }
      throw new NoSuchFileException(path.toString());
    }
    return inode;
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
        use(true).change(new Inode.ByteChange(position, bytes));
      }
    }

    @Override
    public void reserve(long byteLength) throws IOException {
      synchronized (MemoryDisk.this) {
        long length = use(true).length;
        if (byteLength > length) {
          inode.change(
              new Inode.ByteChange(length, new byte[Math.toIntExact(byteLength - length)]));
        }
      }
    }

    @Override
    public void truncate(long byteLength) throws IOException {
      synchronized (MemoryDisk.this) {
        if (byteLength < use(true).length) {
          inode.change(new Inode.ByteChange(byteLength, null));
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
