package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.tensor.Tensor;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/// Writes a safetensors file whose sizes are all known before its first byte: the header, then
/// tensor bytes as they come, in file order.
///
/// Writes are aligned blocks of 8 MiB, one on its way while the next is filled; space is reserved
/// first, the last block is padded, written and cut off. Data begins at a multiple of 4096. Every
/// byte is checksummed on the way. Who made the file gives it its name after [#finish].
public final class SafetensorsWriter implements AutoCloseable {
  private static final int BLOCK_BYTES = 8 << 20;

  private final OpenFile file;
  private final List<Tensor> tensors;
  private final MemorySegment header;
  private final long fileBytes;
  private final List<int[]> granules;
  private final Arena arena = Arena.ofShared();
  private final ExecutorService disk =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().factory());

  private MemorySegment filling;
  private MemorySegment written;
  private @Nullable Future<?> writing;
  private long at;
  private int tensor;
  private long inTensor;

  private SafetensorsWriter(OpenFile file, List<Tensor> tensors, byte[] header) {
    this.file = file;
    this.tensors = List.copyOf(tensors);
    this.header = MemorySegment.ofArray(header);
    long bytes = header.length;
    granules = new ArrayList<>(tensors.size());
    for (Tensor each : tensors) {
      bytes = Math.addExact(bytes, each.byteLength());
      granules.add(new int[Math.toIntExact(Granules.count(each.byteLength()))]);
    }
    fileBytes = bytes;
    filling = arena.allocate(BLOCK_BYTES, OpenFile.ALIGNMENT);
    written = arena.allocate(BLOCK_BYTES, OpenFile.ALIGNMENT);
  }

  /// Begins a file: reserves its space and writes the header.
  ///
  /// @param file new and empty; stays open, and the caller's
  /// @param inFileOrder packed without gaps; see [SafetensorsEncoder#header]
  public static SafetensorsWriter begin(
      OpenFile file, List<Tensor> inFileOrder, Map<String, String> metadata) throws IOException {
    SafetensorsWriter writer =
        new SafetensorsWriter(
            file,
            inFileOrder,
            SafetensorsEncoder.header(inFileOrder, metadata, OpenFile.ALIGNMENT));
    try {
      file.reserve(writer.fileBytes);
      writer.copy(writer.header);
    } catch (IOException | RuntimeException e) {
      writer.close();
      throw e;
    }
    return writer;
  }

  /// What was written.
  ///
  /// @param fileBytes length of the file
  /// @param headerBytes length of the header with its 8-byte length
  /// @param headerCrc its checksum
  /// @param granules checksums of each tensor, in file order ([Granules])
  public record Written(long fileBytes, int headerBytes, int headerCrc, List<int[]> granules) {}

  /// Takes the next tensor bytes, which may end or begin in the middle of a tensor.
  ///
  /// @throws IllegalArgumentException where they are more than the tensors have
  public void write(MemorySegment bytes) throws IOException {
    for (long from = 0; from < bytes.byteSize(); ) {
      while (tensor < tensors.size() && inTensor == tensors.get(tensor).byteLength()) {
        tensor++;
        inTensor = 0;
      }
      if (tensor == tensors.size()) {
        throw new IllegalArgumentException(
            bytes.byteSize() - from + " bytes more than the tensors have");
      }
      long left = tensors.get(tensor).byteLength() - inTensor;
      long inGranule = inTensor % Granules.BYTES;
      long count = Math.min(bytes.byteSize() - from, Math.min(left, Granules.BYTES - inGranule));
      MemorySegment part = bytes.asSlice(from, count);
      int[] crcs = granules.get(tensor);
      int granule = (int) (inTensor / Granules.BYTES);
      crcs[granule] = Crc32.combine(crcs[granule], Crc32.of(part), count);
      copy(part);
      inTensor += count;
      from += count;
    }
  }

  private void copy(MemorySegment bytes) throws IOException {
    for (long from = 0; from < bytes.byteSize(); ) {
      long inBlock = at % BLOCK_BYTES;
      long count = Math.min(bytes.byteSize() - from, BLOCK_BYTES - inBlock);
      MemorySegment.copy(bytes, from, filling, inBlock, count);
      at += count;
      from += count;
      if (at % BLOCK_BYTES == 0) {
        send(at - BLOCK_BYTES, filling);
      }
    }
  }

  /// Hands the full block to the disk and takes the one that was on its way.
  private void send(long position, MemorySegment block) throws IOException {
    await();
    writing =
        disk.submit(() -> {
          file.write(position, block);
          return null;
        });
    MemorySegment free = written;
    written = filling;
    filling = free;
  }

  private void await() throws IOException {
    Future<?> last = writing;
    if (last == null) {
      return;
    }
    writing = null;
    try {
      last.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while writing");
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case IOException io -> throw io;
        case Error error -> throw error;
        case null, default -> throw new IllegalStateException(e.getCause());
      }
    }
  }

  /// Writes what is left and makes the file durable.
  ///
  /// @throws IllegalStateException where tensor bytes are missing
  public Written finish() throws IOException {
    if (at != fileBytes) {
      throw new IllegalStateException("expected " + fileBytes + " bytes, got " + at);
    }
    long tail = at % BLOCK_BYTES;
    if (tail > 0) {
      long padded = Math.ceilDiv(tail, (long) OpenFile.ALIGNMENT) * OpenFile.ALIGNMENT;
      filling.asSlice(tail, padded - tail).fill((byte) 0);
      send(at - tail, filling.asSlice(0, padded));
    }
    await();
    file.truncate(fileBytes);
    file.sync();
    return new Written(fileBytes, (int) header.byteSize(), Crc32.of(header), List.copyOf(granules));
  }

  /// Ends the writing, finished or not; the file stays as it is.
  @Override
  public void close() {
    // Waits for the block on its way: its memory is about to go.
    disk.close();
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
