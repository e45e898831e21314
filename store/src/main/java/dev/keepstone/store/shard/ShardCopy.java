package dev.keepstone.store.shard;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/// Reads shards from end to end, holds every granule against its receipt, and writes them elsewhere
/// on the way.
///
/// A large shard is written by a thread of its own, one request behind the reads: disks are faster
/// with a read and a write under way than with either. Holds three buffers of 8 MiB. For one
/// thread.
public final class ShardCopy implements AutoCloseable {
  private static final int SLOTS = 3;

  private final Arena arena = Arena.ofShared();
  private final List<MemorySegment> slots = new ArrayList<>();
  private final ExecutorService writer =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("copy-writer").factory());

  /// Reads and checks a shard, and writes it where a target is given: reserved, written, truncated,
  /// synced.
  ///
  /// @param describe the source, for messages
  /// @param target a new, empty file; null: it is only checked
  /// @param progress is told the bytes of each request
  /// @throws KeepstoneException.Integrity where a byte is not what was stored
  /// @throws InterruptedIOException where this thread was interrupted
  public void copy(
      OpenFile source,
      ShardReceipt shard,
      String describe,
      @Nullable OpenFile target,
      LongConsumer progress)
      throws IOException {
    long size = source.size();
    if (size != shard.bytes()) {
      throw damaged("expected a file of " + shard.bytes() + " bytes, found " + size, describe);
    }
    if (target != null) {
      target.reserve(size);
    }
    Sums sums = new Sums(shard, describe);
    List<Future<?>> written = new ArrayList<>();
    boolean done = false;
    try {
      for (long at = 0; at < size; at += Span.SLOT_BYTES) {
        if (Thread.interrupted()) {
          throw new InterruptedIOException("interrupted");
        }
        int request = written.size();
        if (request >= SLOTS) {
          await(written.get(request - SLOTS));
        }
        MemorySegment bytes =
            slot(request % SLOTS).asSlice(0, Math.min(Span.SLOT_BYTES, size - at));
        if (source.read(at, bytes) != bytes.byteSize()) {
          throw damaged("the file ends before byte " + (at + bytes.byteSize()), describe);
        }
        sums.accept(bytes);
        written.add(write(target, at, bytes, size));
        progress.accept(bytes.byteSize());
      }
      done = true;
    } finally {
      // The file is closed by the caller next: nothing may still be writing to it.
      for (Future<?> one : written) {
        if (done) {
          await(one);
        } else {
          settle(one);
        }
      }
    }
    if (target != null) {
      target.truncate(size);
      target.sync();
    }
  }

  private MemorySegment slot(int number) {
    while (slots.size() <= number) {
      slots.add(arena.allocate(Span.SLOT_BYTES, OpenFile.ALIGNMENT));
    }
    return slots.get(number);
  }

  private Future<?> write(@Nullable OpenFile target, long at, MemorySegment bytes, long size)
      throws IOException {
    if (target == null) {
      return CompletableFuture.completedFuture(null);
    }
    if (size <= Span.SLOT_BYTES) {
      target.write(at, bytes);
      return CompletableFuture.completedFuture(null);
    }
    return writer.submit(() -> {
      target.write(at, bytes);
      return null;
    });
  }

  private static void await(Future<?> write) throws IOException {
    try {
      write.get();
    } catch (InterruptedException e) {
      settle(write);
      throw new InterruptedIOException("interrupted");
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException failure) {
        throw failure;
      }
      throw new IllegalStateException("writing", e.getCause());
    }
  }

  /// Waits until a write is over, however it ends: another failure is the one to tell.
  private static void settle(Future<?> write) {
    boolean interrupted = false;
    while (!write.isDone()) {
      try {
        write.get();
      } catch (InterruptedException e) {
        interrupted = true;
      } catch (ExecutionException e) {
        break;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static KeepstoneException.Integrity damaged(String what, String describe) {
    return new KeepstoneException.Integrity(
        what, describe, "take another checkpoint, or bring back a good copy of this file");
  }

  @Override
  public void close() {
    writer.close();
    arena.close();
  }

  /// The granules of a shard, header first, as its bytes go by.
  private static final class Sums {
    private final ShardReceipt shard;
    private final String describe;
    private int piece = -1;
    private long begin;
    private long end;
    private int crc;
    private long at;

    Sums(ShardReceipt shard, String describe) {
      this.shard = shard;
      this.describe = describe;
      this.end = shard.header();
    }

    void accept(MemorySegment bytes) {
      for (long done = 0; done < bytes.byteSize(); ) {
        long count = Math.min(end - at, bytes.byteSize() - done);
        int found = Crc32.of(bytes.asSlice(done, count));
        crc = at == begin ? found : Crc32.combine(crc, found, count);
        at += count;
        done += count;
        if (at == end) {
          check();
          next();
        }
      }
    }

    private void check() {
      if (piece < 0) {
        if (crc != shard.headerCrc32()) {
          throw damaged(
              "bytes 0..%d, its header, do not match their checksum: expected crc32 %s, found %s"
                  .formatted(end - 1, Crc32.hex(shard.headerCrc32()), Crc32.hex(crc)),
              describe);
        }
        return;
      }
      PieceReceipt receipt = shard.pieces().get(piece);
      int index = Math.toIntExact((begin - receipt.at()) / Granules.BYTES);
      int expected = Crc32.parse(receipt.crcs().substring(8 * index, 8 * index + 8));
      if (crc != expected) {
        throw damaged(new Granule(receipt, begin, end, expected).mismatch(crc), describe);
      }
    }

    /// The next granule: of this piece, or of the next one that has bytes.
    private void next() {
      begin = at;
      crc = 0;
      while (piece < 0 || at == pieceEnd()) {
        piece++;
        if (piece == shard.pieces().size()) {
          return;
        }
      }
      end = Math.min(at + Granules.BYTES, pieceEnd());
    }

    private long pieceEnd() {
      PieceReceipt receipt = shard.pieces().get(piece);
      return receipt.at() + receipt.bytes();
    }
  }
}
