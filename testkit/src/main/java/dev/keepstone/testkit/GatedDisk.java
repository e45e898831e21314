package dev.keepstone.testkit;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.testkit.Operation.Act;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// A disk in front of another one. Every operation goes through [#pass], which decides what becomes
/// of it; closing a file does not.
abstract class GatedDisk implements Disk {
  final Disk disk;

  GatedDisk(Disk disk) {
    this.disk = disk;
  }

  /// What an operation does.
  interface Body<T extends @Nullable Object> {
    T run() throws IOException;
  }

  private interface Effect {
    void run() throws IOException;
  }

  /// Does an operation, or not, or otherwise.
  ///
  /// @param path the name acted on; of links and renames the new one
  abstract <T extends @Nullable Object> T pass(Act act, Path path, Body<T> body) throws IOException;

  long read(Path path, OpenFile file, long position, MemorySegment target) throws IOException {
    return pass(Act.READ, path, () -> file.read(position, target));
  }

  void write(Path path, OpenFile file, long position, MemorySegment source) throws IOException {
    act(Act.WRITE, path, () -> file.write(position, source));
  }

  private void act(Act act, Path path, Effect effect) throws IOException {
    pass(
        act,
        path,
        () -> {
          effect.run();
          return "done";
        });
  }

  /// In the steps in which the product's own disk does it, where the disk behind tells them apart,
  /// so that a crash or another actor may come between them.
  @Override
  public void createDirectories(Path directory) throws IOException {
    if (!(disk instanceof Steps steps)) {
      act(Act.CREATE_DIRECTORIES, directory, () -> disk.createDirectories(directory));
      return;
    }
    Deque<Path> missing = new ArrayDeque<>();
    for (Path at = directory.toAbsolutePath().normalize();
        at != null && !steps.isDirectory(at);
        at = at.getParent()) {
      missing.push(at);
    }
    for (Path at : missing) {
      act(Act.CREATE_DIRECTORIES, at, () -> steps.createDirectory(at));
      Path parent = at.getParent();
      if (parent != null) {
        syncDirectory(parent);
      }
    }
  }

  @Override
  public OpenFile create(Path file) throws IOException {
    return pass(Act.CREATE, file, () -> new GatedFile(file, disk.create(file)));
  }

  @Override
  public OpenFile open(Path file) throws IOException {
    return pass(Act.OPEN, file, () -> new GatedFile(file, disk.open(file)));
  }

  @Override
  public void link(Path file, Path name) throws IOException {
    act(Act.LINK, name, () -> disk.link(file, name));
  }

  @Override
  public void renameToFree(Path file, Path name) throws IOException {
    act(Act.RENAME, name, () -> disk.renameToFree(file, name));
  }

  @Override
  public void delete(Path file) throws IOException {
    act(Act.DELETE, file, () -> disk.delete(file));
  }

  @Override
  public List<Entry> list(Path directory) throws IOException {
    return pass(Act.LIST, directory, () -> disk.list(directory));
  }

  @Override
  public Optional<Instant> modified(Path file) throws IOException {
    return pass(Act.MODIFIED, file, () -> disk.modified(file));
  }

  @Override
  public void syncDirectory(Path directory) throws IOException {
    act(Act.SYNC_DIRECTORY, directory, () -> disk.syncDirectory(directory));
  }

  @Override
  public long usableBytes(Path directory) throws IOException {
    return pass(Act.USABLE, directory, () -> disk.usableBytes(directory));
  }

  /// A disk that makes one directory at a time, and makes it durable only when it is told to.
  interface Steps {
    boolean isDirectory(Path directory) throws IOException;

    /// One that is there already is success.
    void createDirectory(Path directory) throws IOException;
  }

  private final class GatedFile implements OpenFile {
    private final Path path;
    private final OpenFile file;

    GatedFile(Path path, OpenFile file) {
      this.path = path;
      this.file = file;
    }

    @Override
    public long size() throws IOException {
      return pass(Act.SIZE, path, file::size);
    }

    @Override
    public long read(long position, MemorySegment target) throws IOException {
      return GatedDisk.this.read(path, file, position, target);
    }

    @Override
    public void write(long position, MemorySegment source) throws IOException {
      GatedDisk.this.write(path, file, position, source);
    }

    @Override
    public void reserve(long byteLength) throws IOException {
      act(Act.RESERVE, path, () -> file.reserve(byteLength));
    }

    @Override
    public void truncate(long byteLength) throws IOException {
      act(Act.TRUNCATE, path, () -> file.truncate(byteLength));
    }

    @Override
    public void sync() throws IOException {
      act(Act.SYNC, path, file::sync);
    }

    @Override
    public void close() throws IOException {
      file.close();
    }

    /// What is learned by opening a file: that it is there.
    @Override
    public String toString() {
      return "open";
    }
  }
}
