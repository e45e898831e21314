package dev.keepstone.store.restore;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.reshard.Need;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.shard.Span;
import dev.keepstone.store.verify.TinyStore;
import dev.keepstone.testkit.CountingDisk;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SharedStreamTest {
  private static final long SLOT = Span.SLOT_BYTES;

  @TempDir Path directory;
  private final CountingDisk disk = new CountingDisk(Disk.local());
  private TinyStore store;
  private List<PieceReceipt> pieces;
  private List<ShardReceipt> shards;
  private final Map<PieceReceipt, byte[]> bytes = new HashMap<>();

  @BeforeEach
  void fill() throws IOException {
    store = new TinyStore(disk, directory);
    store.shard(
        "model",
        List.of(
            new Tensor("large", Dtype.F32, Shape.of(13, 1 << 18)),
            new Tensor("odd", Dtype.F32, Shape.of(700_001)),
            new Tensor("empty", Dtype.F32, Shape.of(0)),
            new Tensor("half", Dtype.BF16, Shape.of(5)),
            new Tensor("bytes", Dtype.U8, Shape.of(3_000_001))));
    List<Tensor> small = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      small.add(new Tensor("small" + i, Dtype.F32, Shape.of(1000 + i)));
    }
    store.shard("optimizer", small);
    store.shard("ema", List.of(new Tensor("w", Dtype.F64, Shape.of(2_500_000))));
    store.commit();
    shards = store.run().parts(store.run().manifest(TinyStore.ID)).getFirst().shards();
    pieces = shards.stream().flatMap(shard -> shard.pieces().stream()).toList();
    for (ShardReceipt shard : shards) {
      MemorySegment file =
          MemorySegment.ofArray(
              Files.readAllBytes(
                  directory.resolve(TinyStore.NAMES.file(TinyStore.ID, shard.file()))));
      for (PieceReceipt piece : shard.pieces()) {
        bytes.put(piece, file.asSlice(piece.at(), piece.bytes()).toArray(ValueLayout.JAVA_BYTE));
      }
    }
    disk.reset();
  }

  private RestorePlan some(Random random, double share) {
    List<Need> needs = new ArrayList<>();
    for (int i = 0; i < pieces.size(); i++) {
      BitSet granules = new BitSet();
      for (int g = 0; g < Granules.count(pieces.get(i).bytes()); g++) {
        granules.set(g, random.nextDouble() < share);
      }
      if (!granules.isEmpty()) {
        needs.add(new Need(i, granules));
      }
    }
    return RestorePlan.of(needs, pieces::get);
  }

  private RestoreStream open(List<RestorePlan> plans, MemorySegment window, Duration patience) {
    return RestoreStream.open(
        new RestoreStream.Source(store.tier(), TinyStore.NAMES, TinyStore.ID, shards),
        plans,
        window,
        new RestoreStream.Patience(patience, System::nanoTime));
  }

  /// Takes all of a reader's stream one answer late, and holds every byte that came and every one
  /// that did not against the plan.
  private void drain(RestoreStream stream, int reader, RestorePlan plan, MemorySegment window) {
    byte[] all = new byte[Math.toIntExact(plan.total())];
    BitSet came = new BitSet();
    List<RestoreStream.Chunk> late = List.of();
    long last = 0;
    for (boolean end = false; !end; ) {
      RestoreStream.Answer answer = stream.next(reader);
      for (RestoreStream.Chunk chunk : late) {
        MemorySegment.copy(
            window, chunk.in(), MemorySegment.ofArray(all), chunk.at(), chunk.bytes());
      }
      late = answer.chunks();
      for (RestoreStream.Chunk chunk : late) {
        assertThat(chunk.at()).isGreaterThanOrEqualTo(last);
        last = chunk.at() + chunk.bytes();
        came.set((int) chunk.at(), (int) last);
      }
      end = answer.end();
    }
    assertThat(late).as("the end comes alone").isEmpty();
    BitSet expected = new BitSet();
    for (RestorePlan.Place place : plan.places()) {
      byte[] piece = requireNonNull(bytes.get(place.piece()));
      place.wanted().stream()
          .forEach(g -> {
            int from = g * Granules.BYTES;
            int to = Math.min(from + Granules.BYTES, piece.length);
            int at = (int) place.at();
            expected.set(at + from, at + to);
            assertThat(
                    MemorySegment.mismatch(
                        MemorySegment.ofArray(all),
                        at + from,
                        at + to,
                        MemorySegment.ofArray(piece),
                        from,
                        to))
                .isEqualTo(-1);
          });
    }
    assertThat(came).isEqualTo(expected);
  }

  private static long union(List<RestorePlan> plans) {
    Map<PieceReceipt, BitSet> union = new HashMap<>();
    plans.forEach(plan ->
        plan.places()
            .forEach(place ->
                union.computeIfAbsent(place.piece(), _ -> new BitSet()).or(place.wanted())));
    return union.entrySet().stream()
        .mapToLong(entry ->
            entry.getValue().stream()
                .mapToLong(g ->
                    Math.min(Granules.BYTES, entry.getKey().bytes() - (long) g * Granules.BYTES))
                .sum())
        .sum();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void eachGranuleIsReadOnceAndGivenToEveryoneWhoWantsIt(long seed) throws Exception {
    Random random = new Random(seed);
    int readers = 2 + random.nextInt(4);
    List<RestorePlan> plans = new ArrayList<>();
    for (int i = 0; i < readers; i++) {
      plans.add(some(random, random.nextDouble()));
    }
    int slots = 2 + random.nextInt(8);
    try (Arena arena = Arena.ofShared();
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      MemorySegment window = arena.allocate(slots * SLOT, OpenFile.ALIGNMENT);
      try (RestoreStream stream = open(plans, window, Duration.ofMinutes(1))) {
        List<Future<?>> done = new ArrayList<>();
        for (int i = 0; i < readers; i++) {
          int reader = i;
          done.add(threads.submit(() -> drain(stream, reader, plans.get(reader), window)));
        }
        for (Future<?> one : done) {
          one.get();
        }
      }
    }
    long union = union(plans);
    // Beside the granules: blocks at the ends of requests, of which there are few.
    assertThat(disk.bytesRead(_ -> true))
        .isGreaterThanOrEqualTo(union)
        .isLessThanOrEqualTo(union + union / 20 + 200 * OpenFile.ALIGNMENT);
  }

  @Test
  void whoStandsStillIsCutOffAndLearnsOfItThoughItHasCopied() {
    Random random = new Random(1);
    List<RestorePlan> plans = List.of(some(random, 1), some(random, 1));
    try (Arena arena = Arena.ofShared()) {
      MemorySegment window = arena.allocate(4 * SLOT, OpenFile.ALIGNMENT);
      try (RestoreStream stream = open(plans, window, Duration.ofMillis(100))) {
        assertThat(stream.next(0).chunks()).isNotEmpty();
        drain(stream, 1, plans.get(1), window);
        assertThatThrownBy(() -> stream.next(0))
            .isInstanceOf(KeepstoneException.Busy.class)
            .hasMessageContaining("was cut off");
      }
    }
  }

  @Test
  void whoIsSlowAndAloneIsWaitedFor() {
    List<RestorePlan> plans = List.of(some(new Random(1), 1), some(new Random(2), 0));
    try (Arena arena = Arena.ofShared()) {
      MemorySegment window = arena.allocate(2 * SLOT, OpenFile.ALIGNMENT);
      // Everything has lasted too long at once: but nobody else wants anything.
      try (RestoreStream stream = open(plans, window, Duration.ZERO)) {
        assertThat(stream.next(1)).isEqualTo(new RestoreStream.Answer(List.of(), true));
        drain(stream, 0, plans.get(0), window);
      }
    }
  }

  @Test
  void whoLeavesHoldsNobodyUp() {
    Random random = new Random(3);
    List<RestorePlan> plans = List.of(some(random, 1), some(random, 0.5), some(random, 1));
    try (Arena arena = Arena.ofShared()) {
      MemorySegment window = arena.allocate(2 * SLOT, OpenFile.ALIGNMENT);
      try (RestoreStream stream = open(plans, window, Duration.ofMinutes(10))) {
        assertThat(stream.next(0).chunks()).isNotEmpty();
        stream.leave(0);
        stream.leave(2);
        drain(stream, 1, plans.get(1), window);
      }
    }
  }
}
