package dev.keepstone.demo;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.function.LongSupplier;

/// What the same bytes cost otherwise, measured in the trainer, between its steps: copying them in
/// memory, which no snapshot can avoid, and writing them to a new file with a sync before training
/// goes on. The write does less than `torch.save`, which also pickles and checksums.
final class Comparison {
  /// @param copyMillis one thread, into memory that is resident
  /// @param writeMillis create, write, sync
  record Times(double copyMillis, double writeMillis) {}

  private final List<MemorySegment> tensors;
  private final Path file;
  private final LongSupplier nanos;
  private final MemorySegment target;

  /// @param tensors the bytes, each a segment outside the heap
  /// @param file to write and remove again, on the file system of the store
  /// @param nanos a monotonic clock
  Comparison(List<MemorySegment> tensors, Path file, LongSupplier nanos) {
    this.tensors = List.copyOf(tensors);
    this.file = file;
    this.nanos = nanos;
    this.target =
        Arena.ofAuto().allocate(tensors.stream().mapToLong(MemorySegment::byteSize).sum(), 4096);
    // Untouched pages would make the first copy pay for the system's zeroing.
    target.fill((byte) 1);
  }

  /// @throws java.nio.file.FileAlreadyExistsException where the file is there; it is left alone
  Times measure() throws IOException {
    long begun = nanos.getAsLong();
    copy();
    long copied = nanos.getAsLong();
    long written = write();
    return new Times((copied - begun) / 1e6, (written - copied) / 1e6);
  }

  private void copy() {
    long at = 0;
    for (MemorySegment tensor : tensors) {
      MemorySegment.copy(tensor, 0, target, at, tensor.byteSize());
      at += tensor.byteSize();
    }
  }

  /// @return when it was done; removing the file is not counted
  private long write() throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      try {
        for (MemorySegment tensor : tensors) {
          ByteBuffer bytes = tensor.asByteBuffer();
          while (bytes.hasRemaining()) {
            channel.write(bytes);
          }
        }
        channel.force(true);
        return nanos.getAsLong();
      } finally {
        Files.delete(file);
      }
    }
  }
}
