package dev.keepstone.core.bytes;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// An open file. Positions and lengths are bytes. Safe for use by several threads.
///
/// Reads and writes of native memory go around the page cache where address and position are
/// multiples of [#ALIGNMENT], as much of them as is, the request is not small, and the file system
/// allows it; all else goes through the cache, with the same result. Requests of 8 MiB, two at a
/// time, are what disks like best.
public interface OpenFile extends AutoCloseable {
  /// What direct transfers need address, position and length to be multiples of.
  int ALIGNMENT = 4096;

  long size() throws IOException;

  /// Reads until `target` is full or the file ends.
  ///
  /// @return bytes read; less than the target's size only at the end of the file
  long read(long position, MemorySegment target) throws IOException;

  /// Writes all of `source`.
  void write(long position, MemorySegment source) throws IOException;

  /// Reserves space so that later writes find it; a no-op where the file system cannot. The file
  /// may be that long from then on, so who reserves truncates to the true length at the end.
  void reserve(long byteLength) throws IOException;

  void truncate(long byteLength) throws IOException;

  /// Makes content and size durable. A file whose sync failed is to be abandoned, never synced
  /// again.
  void sync() throws IOException;

  /// Whether requests have gone around the page cache: known after the first large aligned one.
  default boolean isDirect() {
    return false;
  }

  @Override
  void close() throws IOException;
}
