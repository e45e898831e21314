package dev.keepstone.testkit;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.testkit.Operation.Act;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// A disk that counts the bytes that are read through open files.
public final class CountingDisk extends GatedDisk {
  private final Map<Path, Long> read = new ConcurrentHashMap<>();

  public CountingDisk(Disk disk) {
    super(disk);
  }

  /// Bytes read from files whose path matches.
  public long bytesRead(Predicate<Path> which) {
    return read.entrySet().stream()
        .filter(entry -> which.test(entry.getKey()))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  /// Counts from 0 again.
  public void reset() {
    read.clear();
  }

  @Override
  <T extends @Nullable Object> T pass(Act act, Path path, Body<T> body) throws IOException {
    return body.run();
  }

  @Override
  long read(Path path, OpenFile file, long position, MemorySegment target) throws IOException {
    long bytes = file.read(position, target);
    read.merge(path, bytes, Long::sum);
    return bytes;
  }
}
