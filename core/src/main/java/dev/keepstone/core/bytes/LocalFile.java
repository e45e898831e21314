package dev.keepstone.core.bytes;

import com.sun.nio.file.ExtendedOpenOption;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/// A file of the operating system, held by two channels: one through the page cache, and, once a
/// request comes for which it pays, one around it. The kernel keeps both views of a file equal.
///
/// Whether a file can be read and written around the cache is found out by trying, never by the
/// name of its file system: the first such request decides for this file, and where it fails it is
/// done again through the cache.
final class LocalFile implements OpenFile {
  private static final int REQUEST_BYTES = 8 << 20;

  /// The smallest request that goes around the page cache. Below, the latency of the device counts:
  /// 64 KiB requests move 0.55 GB/s around the cache, 4 KiB ones a tenth of that.
  private static final long DIRECT_BYTES = 64 << 10;

  private enum Direct {
    UNTRIED,
    WORKS,
    REFUSED
  }

  private final Path path;
  private final FileChannel cached;
  private final boolean writable;
  private volatile Direct direct = Direct.UNTRIED;
  private @Nullable FileChannel around;

  private LocalFile(Path path, FileChannel cached, boolean writable) {
    this.path = path;
    this.cached = cached;
    this.writable = writable;
  }

  static LocalFile create(Path file) throws IOException {
    return new LocalFile(
        file,
        FileChannel.open(
            file, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE),
        true);
  }

  static LocalFile open(Path file) throws IOException {
    return new LocalFile(file, FileChannel.open(file, StandardOpenOption.READ), false);
  }

  @Override
  public long size() throws IOException {
    return cached.size();
  }

  @Override
  public long read(long position, MemorySegment target) throws IOException {
    long done = 0;
    while (done < target.byteSize()) {
      long count = transfer(position + done, target.asSlice(done), Request.READ);
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
      long count = transfer(position + done, source.asSlice(done), Request.WRITE);
      if (count <= 0) {
        throw new EOFException(path + ": nothing was written at " + (position + done));
      }
      done += count;
    }
  }

  private interface Request {
    Request READ = FileChannel::read;
    Request WRITE = FileChannel::write;

    int run(FileChannel channel, ByteBuffer buffer, long position) throws IOException;
  }

  /// One request for the first bytes of `memory`, at most [#REQUEST_BYTES].
  ///
  /// @return bytes moved, or -1 at the end of the file
  private long transfer(long position, MemorySegment memory, Request request) throws IOException {
    long length = Math.min(REQUEST_BYTES, memory.byteSize());
    long before = position % ALIGNMENT;
    if (!writable
        && before != 0
        && length >= DIRECT_BYTES
        && memory.isNative()
        && memory.address() % ALIGNMENT == before) {
      // Up to where file and memory are both aligned; the next request goes around the cache.
      length = ALIGNMENT - before;
    }
    long aligned = length - length % ALIGNMENT;
    if (direct != Direct.REFUSED
        && aligned >= DIRECT_BYTES
        && position % ALIGNMENT == 0
        && memory.isNative()
        && memory.address() % ALIGNMENT == 0) {
      FileChannel channel = around();
      if (channel != null) {
        try {
          int count = request.run(channel, memory.asSlice(0, aligned).asByteBuffer(), position);
          direct = Direct.WORKS;
          return count;
        } catch (IOException e) {
          // Once it has worked, a failure is a failure of the device and not of the way.
          if (direct == Direct.WORKS) {
            throw e;
          }
          direct = Direct.REFUSED;
        }
      }
    }
    return request.run(cached, memory.asSlice(0, length).asByteBuffer(), position);
  }

  private synchronized @Nullable FileChannel around() {
    if (around == null && direct == Direct.UNTRIED) {
      try {
        around =
            writable
                ? FileChannel.open(
                    path,
                    StandardOpenOption.READ,
                    StandardOpenOption.WRITE,
                    ExtendedOpenOption.DIRECT)
                : FileChannel.open(path, StandardOpenOption.READ, ExtendedOpenOption.DIRECT);
      } catch (IOException | UnsupportedOperationException e) {
        direct = Direct.REFUSED;
      }
    }
    return around;
  }

  @Override
  public void reserve(long byteLength) throws IOException {
    if (byteLength > 0 && Libc.LINUX.isPresent()) {
      Libc.LINUX.get().reserve(path, byteLength);
    }
  }

  @Override
  public void truncate(long byteLength) throws IOException {
    cached.truncate(byteLength);
  }

  @Override
  public void sync() throws IOException {
    cached.force(true);
  }

  @Override
  public boolean isDirect() {
    return direct == Direct.WORKS;
  }

  @Override
  public void close() throws IOException {
    FileChannel second;
    synchronized (this) {
      second = around;
      around = null;
      direct = Direct.REFUSED;
    }
    try {
      if (second != null) {
        second.close();
      }
    } finally {
      cached.close();
    }
  }
}
