package dev.keepstone.core.bytes;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// A file in memory, for headers made up in a test. With `reads` counted in bytes, so that a test
/// can say that tensor bytes were not touched.
public final class MemoryFile implements OpenFile {
  private byte[] content;
  private long bytesRead;

  public MemoryFile(byte[] content) {
    this.content = content;
  }

  public static MemoryFile of(byte[] header, long dataBytes) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(header);
    out.writeBytes(new byte[Math.toIntExact(dataBytes)]);
    return new MemoryFile(out.toByteArray());
  }

  public long bytesRead() {
    return bytesRead;
  }

  @Override
  public long size() {
    return content.length;
  }

  @Override
  public long read(long position, MemorySegment target) {
    long count = Math.clamp(content.length - position, 0, target.byteSize());
    MemorySegment.copy(MemorySegment.ofArray(content), position, target, 0, count);
    bytesRead += count;
    return count;
  }

  @Override
  public void write(long position, MemorySegment source) {
    int end = Math.toIntExact(position + source.byteSize());
    content = end > content.length ? Arrays.copyOf(content, end) : content;
    MemorySegment.copy(source, 0, MemorySegment.ofArray(content), position, source.byteSize());
  }

  @Override
  public void reserve(long byteLength) {}

  @Override
  public void truncate(long byteLength) {
    content = Arrays.copyOf(content, Math.toIntExact(byteLength));
  }

  @Override
  public void sync() {}

  @Override
  public void close() {}
}
