package dev.keepstone.agent;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/// The disk of this machine, but for its speed and its space.
final class SlowDisk implements Disk {
  private final Disk disk = Disk.local();
  private final long bytesPerSecond;

  /// Where this path lies, so much is free; elsewhere as it is.
  private final Path store;

  /// Bytes that the store has free.
  final AtomicLong free = new AtomicLong(Long.MAX_VALUE);

  SlowDisk(long bytesPerSecond, Path store) {
    this.bytesPerSecond = bytesPerSecond;
    this.store = store;
  }

  private final class Slow implements OpenFile {
    private final OpenFile file;

    Slow(OpenFile file) {
      this.file = file;
    }

    @Override
    public long size() throws IOException {
      return file.size();
    }

    @Override
    public long read(long position, MemorySegment target) throws IOException {
      return file.read(position, target);
    }

    @Override
    public void write(long position, MemorySegment source) throws IOException {
      LockSupport.parkNanos(source.byteSize() * 1_000_000_000L / bytesPerSecond);
      file.write(position, source);
    }

    @Override
    public void reserve(long byteLength) throws IOException {
      file.reserve(byteLength);
    }

    @Override
    public void truncate(long byteLength) throws IOException {
      file.truncate(byteLength);
    }

    @Override
    public void sync() throws IOException {
      file.sync();
    }

    @Override
    public boolean isDirect() {
      return file.isDirect();
    }

    @Override
    public void close() throws IOException {
      file.close();
    }
  }

  @Override
  public void createDirectories(Path directory) throws IOException {
    disk.createDirectories(directory);
  }

  @Override
  public OpenFile create(Path file) throws IOException {
    return new Slow(disk.create(file));
  }

  @Override
  public OpenFile open(Path file) throws IOException {
    return disk.open(file);
  }

  @Override
  public void link(Path file, Path name) throws IOException {
    disk.link(file, name);
  }

  @Override
  public void renameToFree(Path file, Path name) throws IOException {
    disk.renameToFree(file, name);
  }

  @Override
  public void delete(Path file) throws IOException {
    disk.delete(file);
  }

  @Override
  public List<Entry> list(Path directory) throws IOException {
    return disk.list(directory);
  }

  @Override
  public Optional<Instant> modified(Path file) throws IOException {
    return disk.modified(file);
  }

  @Override
  public void syncDirectory(Path directory) throws IOException {
    disk.syncDirectory(directory);
  }

  @Override
  public long usableBytes(Path directory) throws IOException {
    long usable = disk.usableBytes(directory);
    return directory.startsWith(store) ? Math.min(usable, free.get()) : usable;
  }
}
