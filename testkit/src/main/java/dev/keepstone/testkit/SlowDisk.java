package dev.keepstone.testkit;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.testkit.Operation.Act;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// A disk that writes slowly, and has as little space as a test says.
public final class SlowDisk extends GatedDisk {
  private final long bytesPerSecond;
  private final Path store;
  private final AtomicLong free = new AtomicLong(Long.MAX_VALUE);

  /// @param bytesPerSecond of each writer
  /// @param store where the space is little; elsewhere it is as it is
  public SlowDisk(Disk disk, long bytesPerSecond, Path store) {
    super(disk);
    this.bytesPerSecond = bytesPerSecond;
    this.store = store;
  }

  /// From now on so many bytes are free at the store.
  public void free(long bytes) {
    free.set(bytes);
  }

  @Override
  <T extends @Nullable Object> T pass(Act act, Path path, Body<T> body) throws IOException {
    return body.run();
  }

  @Override
  void write(Path path, OpenFile file, long position, MemorySegment source) throws IOException {
    LockSupport.parkNanos(source.byteSize() * 1_000_000_000L / bytesPerSecond);
    file.write(position, source);
  }

  @Override
  public long usableBytes(Path directory) throws IOException {
    return directory.startsWith(store)
        ? Math.min(free.get(), disk.usableBytes(directory))
        : disk.usableBytes(directory);
  }
}
