package dev.keepstone.store.restore;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.shard.Span;
import dev.keepstone.store.verify.TinyStore;
import dev.keepstone.testkit.FaultyDisk;
import dev.keepstone.testkit.Operation;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RestoreStreamTest {
  @TempDir Path directory;

  private TinyStore store(Disk disk) throws IOException {
    TinyStore store = new TinyStore(disk, directory);
    store.shard(
        "model",
        List.of(
            new Tensor("large", Dtype.F32, Shape.of(11, 1 << 18)),
            new Tensor("odd", Dtype.F32, Shape.of(700_001)),
            new Tensor("empty", Dtype.F32, Shape.of(0)),
            new Tensor("half", Dtype.BF16, Shape.of(5)),
            new Tensor("byte", Dtype.U8, Shape.of(3_000_001))));
    store.shard("optimizer", List.of(new Tensor("w.exp_avg", Dtype.F64, Shape.of(3_000_000))));
    store.shard("empty", List.of(new Tensor("none", Dtype.I64, Shape.of(2, 0))));
    store.commit();
    return store;
  }

  private static final RestoreStream.Patience PATIENCE =
      new RestoreStream.Patience(RestoreStream.PATIENCE, System::nanoTime);

  private static RestoreStream open(TinyStore store, WholePlan plan, MemorySegment window) {
    return RestoreStream.open(
        new RestoreStream.Source(store.tier(), TinyStore.NAMES, TinyStore.ID, plan.shards()),
        List.of(plan.plan()),
        window,
        PATIENCE);
  }

  private static WholePlan plan(TinyStore store) {
    return WholePlan.of(store.run().parts(store.run().manifest(TinyStore.ID)));
  }

  /// All bytes of the stream, copied chunk by chunk one answer late, as a client may.
  private static byte[] drain(RestoreStream stream, MemorySegment window, long total) {
    byte[] all = new byte[Math.toIntExact(total)];
    List<RestoreStream.Chunk> late = List.of();
    long expected = 0;
    for (boolean end = false; !end; ) {
      RestoreStream.Answer answer = stream.next(0);
      copy(late, window, all);
      late = answer.chunks();
      for (RestoreStream.Chunk chunk : late) {
        assertThat(chunk.at()).isEqualTo(expected);
        expected += chunk.bytes();
      }
      end = answer.end();
      assertThat(late.isEmpty()).isEqualTo(end && total == 0);
    }
    copy(late, window, all);
    assertThat(expected).isEqualTo(total);
    return all;
  }

  private static void copy(List<RestoreStream.Chunk> chunks, MemorySegment window, byte[] all) {
    for (RestoreStream.Chunk chunk : chunks) {
      MemorySegment.copy(window, chunk.in(), MemorySegment.ofArray(all), chunk.at(), chunk.bytes());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 7})
  void theStreamIsEveryPieceInFileOrder(int slots) throws IOException {
    TinyStore store = store(Disk.local());
    WholePlan plan = plan(store);
    assertThat(plan.plan().places()).hasSize(7);
    try (Arena arena = Arena.ofShared()) {
      MemorySegment window = arena.allocate((long) slots * Span.SLOT_BYTES, OpenFile.ALIGNMENT);
      byte[] all;
      try (RestoreStream stream = open(store, plan, window)) {
        all = drain(stream, window, plan.plan().total());
        assertThat(stream.next(0)).isEqualTo(new RestoreStream.Answer(List.of(), true));
      }
      long at = 0;
      for (var shard : plan.shards()) {
        byte[] file = Files.readAllBytes(path(shard.file()));
        int bytes = file.length - (int) shard.header();
        assertThat(
                MemorySegment.ofArray(all)
                    .asSlice(at, bytes)
                    .mismatch(MemorySegment.ofArray(file).asSlice(shard.header())))
            .isEqualTo(-1);
        at += bytes;
      }
      assertThat(at).isEqualTo(plan.plan().total());
    }
  }

  private Path path(String file) {
    return directory.resolve(TinyStore.NAMES.file(TinyStore.ID, file));
  }

  @Test
  void aFlippedBitIsNamedByFileTensorAndBytesAndWhatComesBeforeItIsHandedOut() throws IOException {
    TinyStore store = store(Disk.local());
    WholePlan plan = plan(store);
    var shard = plan.shards().getFirst();
    var odd = shard.pieces().get(1);
    try (var channel = Files.newByteChannel(path(shard.file()), StandardOpenOption.WRITE)) {
      channel.position(odd.at() + (2 << 20) + 77);
      channel.write(ByteBuffer.wrap(new byte[] {1, 2, 3, 4, 5, 6, 7, 8}));
    }
    long begin = odd.at() + (2 << 20);
    assertFails(
        store,
        plan,
        "bytes %d..%d do not match".formatted(begin, odd.at() + odd.bytes() - 1),
        "in tensor odd, elements 524288..700000",
        path(shard.file()).toString());
  }

  @Test
  void aFileThatEndsTooSoonIsNamed() throws IOException {
    TinyStore store = store(Disk.local());
    WholePlan plan = plan(store);
    var shard = plan.shards().get(1);
    try (var channel = Files.newByteChannel(path(shard.file()), StandardOpenOption.WRITE)) {
      channel.truncate(shard.bytes() - 1);
    }
    assertFails(
        store,
        plan,
        "the file ends at byte %d, expected %d".formatted(shard.bytes() - 1, shard.bytes()),
        "w.exp_avg");
  }

  @Test
  void aMissingFileIsNamed() throws IOException {
    TinyStore store = store(Disk.local());
    WholePlan plan = plan(store);
    Path shard = path(plan.shards().get(1).file());
    Files.delete(shard);
    assertFails(store, plan, shard.toString());
  }

  @Test
  void anErrorOfTheDiskIsToldInItsWords() throws IOException {
    FaultyDisk disk = new FaultyDisk(Disk.local());
    TinyStore store = store(disk);
    WholePlan plan = plan(store);
    disk.failing(
        operation ->
            operation.act() == Operation.Act.READ
                && operation.path().toString().contains("optimizer"),
        FaultyDisk.Fault.INPUT_OUTPUT);
    assertFails(store, plan, "Input/output error");
  }

  private static void assertFails(TinyStore store, WholePlan plan, String... words) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment window = arena.allocate(4L * Span.SLOT_BYTES, OpenFile.ALIGNMENT);
      try (RestoreStream stream = open(store, plan, window)) {
        assertThatThrownBy(() -> drain(stream, window, plan.plan().total()))
            .isInstanceOf(KeepstoneException.class)
            .hasMessageContainingAll(words);
        // It stays failed: nothing behind the failure is ever handed out.
        assertThatThrownBy(() -> stream.next(0)).isInstanceOf(KeepstoneException.class);
      }
    }
  }

  @Test
  void closingEarlyStopsTheReaders() throws IOException {
    TinyStore store = store(Disk.local());
    WholePlan plan = plan(store);
    try (Arena arena = Arena.ofShared()) {
      MemorySegment window = arena.allocate(2L * Span.SLOT_BYTES, OpenFile.ALIGNMENT);
      try (RestoreStream stream = open(store, plan, window)) {
        assertThat(stream.next(0).chunks()).hasSize(1);
      }
      // Were a reader still writing into the window, this would fail.
    }
  }
}
