package dev.keepstone.store.verify;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.format.safetensors.SafetensorsHeader;
import dev.keepstone.core.format.safetensors.SafetensorsReader;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.shard.ShardFiles;
import dev.keepstone.store.shard.Span;
import dev.keepstone.store.tier.Tier;
import dev.keepstone.store.verify.Problem.Kind;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Reads every byte of some shards by four threads and holds it against the receipts.
final class ShardInspection {
  /// Two keep a disk busy most of the time, four all of it. Each has a buffer of 8 MiB.
  private static final int READERS = 4;

  private final Tier tier;
  private final Names names;
  private final CheckpointId id;
  private final Map<String, Long> sizes;
  private final Consumer<Problem> problems;

  /// @param sizes of the files that are there, by their path from the checkpoint's folder
  /// @param problems may be called by several threads
  ShardInspection(
      Tier tier,
      Names names,
      CheckpointId id,
      Map<String, Long> sizes,
      Consumer<Problem> problems) {
    this.tier = tier;
    this.names = names;
    this.id = id;
    this.sizes = sizes;
    this.problems = problems;
  }

  /// One request's worth of work.
  private sealed interface Work {
    ShardReceipt shard();

    long bytes();
  }

  private record Head(ShardReceipt shard) implements Work {
    @Override
    public long bytes() {
      return shard.header();
    }
  }

  private record Body(Span span) implements Work {
    @Override
    public ShardReceipt shard() {
      return span.shard();
    }

    @Override
    public long bytes() {
      return span.bytes();
    }
  }

  void inspect(List<ShardReceipt> shards, LongConsumer progress) {
    Iterator<Work> work =
        shards.stream()
            .flatMap(
                shard -> Stream.concat(Stream.of(new Head(shard)), Span.of(shard).map(Body::new)))
            .map(Work.class::cast)
            .iterator();
    long largest = shards.stream().mapToLong(ShardReceipt::bytes).max().orElse(0);
    long slotBytes = Math.min(Span.SLOT_BYTES, largest + 2L * OpenFile.ALIGNMENT);
    AtomicLong done = new AtomicLong();
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    Runnable reader =
        () -> {
          try (ShardFiles files = new ShardFiles(tier, names, id);
              Arena arena = Arena.ofConfined()) {
            MemorySegment slot = arena.allocate(slotBytes, OpenFile.ALIGNMENT);
            for (Work next = next(work); next != null && failure.get() == null; next = next(work)) {
              inspect(next, files, slot);
              progress.accept(done.addAndGet(next.bytes()));
            }
          } catch (RuntimeException | Error e) {
            failure.compareAndSet(null, e);
          }
        };
    if (largest < Span.SLOT_BYTES && shards.size() == 1) {
      // One request: a thread would cost more than it.
      reader.run();
    } else {
      Stream.generate(() -> Thread.ofPlatform().daemon().name("verify").start(reader))
          .limit(READERS)
          .toList()
          .forEach(ShardInspection::join);
    }
    switch (failure.get()) {
      case null -> {}
      case RuntimeException e -> throw e;
      case Throwable e -> throw new IllegalStateException("verifying", e);
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new KeepstoneException.Failed(
          "verifying was interrupted", thread.getName(), "verify again", e);
    }
  }

  private static @Nullable Work next(Iterator<Work> work) {
    synchronized (work) {
      return work.hasNext() ? work.next() : null;
    }
  }

  private void inspect(Work work, ShardFiles files, MemorySegment slot) {
    ShardReceipt shard = work.shard();
    try {
      OpenFile file = files.open(shard);
      switch (work) {
        case Head(ShardReceipt whole) -> head(whole, file, slot);
        case Body(Span span) -> body(span, file, slot);
      }
    } catch (IOException e) {
      unreadable(shard, KeepstoneException.from(e, "reading", shard.file()));
    } catch (KeepstoneException e) {
      unreadable(shard, e);
    }
  }

  private void unreadable(ShardReceipt shard, KeepstoneException e) {
    problems.accept(Problem.of(describe(shard), Kind.UNREADABLE, "a readable file", e.what()));
  }

  private void body(Span span, OpenFile file, MemorySegment slot) throws IOException {
    for (Span.Mismatch mismatch : span.check(span.read(file, slot))) {
      // What lies behind the end of the file has been named with its size.
      if (mismatch.granule().end() <= size(span.shard())) {
        problems.accept(
            new Problem(
                describe(span.shard()),
                mismatch.granule().tensor(),
                mismatch.granule().begin(),
                mismatch.granule().bytes(),
                Kind.CHECKSUM,
                "crc32 " + Crc32.hex(mismatch.granule().crc32()),
                "crc32 " + Crc32.hex(mismatch.found())));
      }
    }
  }

  private void head(ShardReceipt shard, OpenFile file, MemorySegment slot) throws IOException {
    if (size(shard) < shard.header()) {
      return;
    }
    int found = 0;
    for (long at = 0; at < shard.header(); at += slot.byteSize()) {
      MemorySegment bytes = slot.asSlice(0, Math.min(slot.byteSize(), shard.header() - at));
      file.read(at, bytes);
      found = Crc32.combine(found, Crc32.of(bytes), bytes.byteSize());
    }
    if (found != shard.headerCrc32()) {
      problems.accept(
          new Problem(
              describe(shard),
              null,
              0L,
              shard.header(),
              Kind.CHECKSUM,
              "crc32 " + Crc32.hex(shard.headerCrc32()),
              "crc32 " + Crc32.hex(found)));
      return;
    }
    sum(shard);
    if (size(shard) == shard.bytes()) {
      names(shard, file);
    }
  }

  /// The checksum of the file has to be that of its granules: otherwise the receipt contradicts
  /// itself.
  private void sum(ShardReceipt shard) {
    int sum = shard.headerCrc32();
    for (PieceReceipt piece : shard.pieces()) {
      int[] crcs = Granules.parse(piece.crcs());
      sum = Crc32.combine(sum, Granules.combine(crcs, piece.bytes()), piece.bytes());
    }
    if (sum != shard.crc32()) {
      problems.accept(
          Problem.of(
              describe(shard),
              Kind.MALFORMED,
              "crc32 " + Crc32.hex(sum) + " by the granules in its part",
              "crc32 " + Crc32.hex(shard.crc32()) + " for the whole file there"));
    }
  }

  /// The header has to name what the part says lies there.
  private void names(ShardReceipt shard, OpenFile file) throws IOException {
    String found = null;
    try {
      SafetensorsHeader header = SafetensorsReader.read(file, describe(shard));
      if (header.dataStart() != shard.header()) {
        found = "data that begins at " + header.dataStart();
      } else if (header.entries().size() != shard.pieces().size()) {
        found = header.entries().size() + " tensors";
      } else {
        for (int i = 0; i < shard.pieces().size() && found == null; i++) {
          found = difference(header, header.entries().get(i), shard.pieces().get(i));
        }
      }
    } catch (KeepstoneException.Integrity e) {
      found = e.what() + " (" + e.on() + ")";
    }
    if (found != null) {
      problems.accept(
          Problem.of(
              describe(shard),
              Kind.HEADER,
              "a header of %d tensors as in the part, data from %d"
                  .formatted(shard.pieces().size(), shard.header()),
              found));
    }
  }

  private static @Nullable String difference(
      SafetensorsHeader header, SafetensorsHeader.Entry entry, PieceReceipt piece) {
    String name = piece.piece().tensor().name();
    boolean named = entry.name().equals(name) || entry.name().startsWith(name + "@");
    boolean placed =
        header.dataStart() + entry.begin() == piece.at()
            && entry.end() - entry.begin() == piece.bytes();
    return named && placed
        ? null
        : "tensor %s at %d, %d bytes, where %s lies at %d, %d bytes"
            .formatted(
                entry.name(),
                header.dataStart() + entry.begin(),
                entry.end() - entry.begin(),
                name,
                piece.at(),
                piece.bytes());
  }

  private long size(ShardReceipt shard) {
    return sizes.getOrDefault(shard.path(), 0L);
  }

  private String describe(ShardReceipt shard) {
    return tier.describe(names.file(shard.home(id), shard.file()));
  }
}
