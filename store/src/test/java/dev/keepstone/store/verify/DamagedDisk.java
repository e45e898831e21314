package dev.keepstone.store.verify;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A disk on which one file has other bytes, or none: read-only, and as cheap as the disk below, so
/// that a test can try every bit.
final class DamagedDisk implements Disk {
  private final Disk disk;
  private final Path path;
  private byte @Nullable [] bytes;

  DamagedDisk(Disk disk, Path path, byte @Nullable [] bytes) {
    this.disk = disk;
    this.path = path;
    this.bytes = bytes;
  }

  void bytes(byte[] other) {
    bytes = other;
  }

  @Override
  public OpenFile open(Path file) throws IOException {
    if (!file.equals(path)) {
      return disk.open(file);
    }
    byte[] content = bytes;
    if (content == null) {
      throw new NoSuchFileException(file.toString());
    }
    return new OpenFile() {
      @Override
      public long size() {
        return content.length;
      }

      @Override
      public long read(long position, MemorySegment target) {
        long count = Math.clamp(content.length - position, 0L, target.byteSize());
        if (count > 0) {
          target.copyFrom(MemorySegment.ofArray(content).asSlice(position, count));
        }
        return count;
      }

      @Override
      public void write(long position, MemorySegment source) {
        throw new UnsupportedOperationException();
      }

      @Override
      public void reserve(long byteLength) {
        throw new UnsupportedOperationException();
      }

      @Override
      public void truncate(long byteLength) {
        throw new UnsupportedOperationException();
      }

      @Override
      public void sync() {
        throw new UnsupportedOperationException();
      }

      @Override
      public void close() {}
    };
  }

  @Override
  public List<Entry> list(Path directory) throws IOException {
    byte[] content = bytes;
    return disk.list(directory).stream()
        .filter(entry -> content != null || !directory.resolve(entry.name()).equals(path))
        .map(entry ->
            content != null && directory.resolve(entry.name()).equals(path)
                ? new Entry(entry.name(), content.length, entry.kind())
                : entry)
        .toList();
  }

  @Override
  public long usableBytes(Path directory) throws IOException {
    return disk.usableBytes(directory);
  }

  @Override
  public void createDirectories(Path directory) {
    throw new UnsupportedOperationException();
  }

  @Override
  public OpenFile create(Path file) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void link(Path file, Path name) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void renameToFree(Path file, Path name) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void delete(Path file) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void syncDirectory(Path directory) {
    throw new UnsupportedOperationException();
  }
}
