package dev.keepstone.core.bytes;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// A file of the operating system.
final class LocalFile implements OpenFile {
  private static final long REQUEST_BYTES = 8L << 20;

  private final FileChannel channel;

  private LocalFile(FileChannel channel) {
    this.channel = channel;
  }

  static LocalFile create(Path file) throws IOException {
    return new LocalFile(
        FileChannel.open(
            file,
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE));
  }

  static LocalFile open(Path file) throws IOException {
    return new LocalFile(FileChannel.open(file, StandardOpenOption.READ));
  }

  @Override
  public long size() throws IOException {
    return channel.size();
  }

  @Override
  public long read(long position, MemorySegment target) throws IOException {
    long done = 0;
    while (done < target.byteSize()) {
      ByteBuffer buffer =
          target.asSlice(done, Math.min(REQUEST_BYTES, target.byteSize() - done)).asByteBuffer();
      int count = channel.read(buffer, position + done);
      if (count < 0) {
        break;
      }
      done += count;
    }
    return done;
  }

  @Override
  public void write(long position, MemorySegment source) throws IOException {
    long done = 0;
    while (done < source.byteSize()) {
      ByteBuffer buffer =
          source.asSlice(done, Math.min(REQUEST_BYTES, source.byteSize() - done)).asByteBuffer();
      done += channel.write(buffer, position + done);
    }
  }

  @Override
  public void reserve(long byteLength) {}

  @Override
  public void truncate(long byteLength) throws IOException {
    channel.truncate(byteLength);
  }

  @Override
  public void sync() throws IOException {
    channel.force(true);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
