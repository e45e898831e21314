package dev.keepstone.bench;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/// The machine's files without the waiting for the device: for stores that are made to be measured
/// and thrown away.
record UnsyncedDisk(Disk disk) implements Disk {
  @Override
  public void createDirectories(Path directory) throws IOException {
    Files.createDirectories(directory);
  }

  @Override
  public OpenFile create(Path file) throws IOException {
    return new Unsynced(disk.create(file));
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
  public void syncDirectory(Path directory) {}

  @Override
  public long usableBytes(Path directory) throws IOException {
    return disk.usableBytes(directory);
  }

  private record Unsynced(OpenFile file) implements OpenFile {
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
      file.write(position, source);
    }

    @Override
    public void reserve(long byteLength) {}

    @Override
    public void truncate(long byteLength) throws IOException {
      file.truncate(byteLength);
    }

    @Override
    public void sync() {}

    @Override
    public void close() throws IOException {
      file.close();
    }
  }
}
