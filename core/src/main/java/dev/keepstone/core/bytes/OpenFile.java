package dev.keepstone.core.bytes;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// An open file. Positions and lengths are bytes.
///
/// Reads and writes go around the page cache where the file system allows it and address, position
/// and length are multiples of [#ALIGNMENT]; otherwise through it, with the same result (measured
/// in docs/adr: unaligned or small requests lose more by the bypass than they win).
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

  /// Reserves space so that later writes find it; a no-op where the file system cannot.
  void reserve(long byteLength) throws IOException;

  void truncate(long byteLength) throws IOException;

  /// Makes content and size durable. A file whose sync failed is to be abandoned, never synced
  /// again.
  void sync() throws IOException;

  @Override
  void close() throws IOException;
}
