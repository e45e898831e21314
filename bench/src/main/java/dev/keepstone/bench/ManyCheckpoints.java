package dev.keepstone.bench;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.format.safetensors.SafetensorsEncoder;
import dev.keepstone.core.health.HealthScan;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.journal.Snapshots;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.part.StoredPart;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.LocalTier;
import dev.keepstone.store.tier.StoreClock;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;

/// Makes a run of many tiny checkpoints, whole and as an agent leaves them: shards of one tensor,
/// state trees, parts, manifests, a time to durable and a metric of each, snapshots on the way.
///
/// Arguments: the store's folder and how many.
final class ManyCheckpoints {
  private static final String NONCE = "7c1e02aa";
  private static final int FACTS_A_BATCH = 100;
  private static final int CHECKPOINTS_A_LOOK = 5000;
  private static final Instant BEGIN = Instant.parse("2026-01-01T00:00:00Z");
  private static final Tensor WEIGHT = new Tensor("weight", Dtype.F32, Shape.of(2));

  private final Run run;
  private final byte[] header =
      SafetensorsEncoder.header(List.of(WEIGHT), Map.of("format", "pt"), 4096);

  private ManyCheckpoints(Run run) {
    this.run = run;
  }

  public static void main(String[] args) throws IOException {
    StoreClock clock = StoreClock.of(InstantSource.system(), System::nanoTime, pause -> {});
    LocalTier tier =
        new LocalTier(
            new UnsyncedDisk(Disk.local()), Path.of(args[0]), clock, NONCE, Duration.ZERO);
    Run run = StoreRoot.openOrMake(tier, clock).runOrMake("run", clock, new Random(1));
    Starts starts = new Starts(run, clock, Starts.Check.none());
    starts.decide(starts.join("bench", 1, Wanted.LATEST));
    new ManyCheckpoints(run).make(Integer.parseInt(args[1]), clock);
  }

  private void make(int count, StoreClock clock) throws IOException {
    Journal journal = Journal.of(run, clock, NONCE, "bench");
    List<Fact> facts = new ArrayList<>();
    for (int i = 1; i <= count; i++) {
      CheckpointId id = new CheckpointId(1, i * 100L);
      save(id, BEGIN.plusSeconds(i * 30L));
      facts.add(new Fact.Durable(id, 60 + i % 7));
      facts.add(new Fact.Metrics(id, Json.object().put("val_loss", 2 + 1.0 / i).build()));
      if (i % FACTS_A_BATCH == 0 || i == count) {
        journal.append(facts);
        facts.clear();
      }
      if (i % CHECKPOINTS_A_LOOK == 0) {
        Snapshots.takeWhenDue(run, clock);
      }
    }
  }

  private void save(CheckpointId id, Instant sealed) throws IOException {
    MemorySegment values = MemorySegment.ofArray(new byte[8]);
    values.set(ValueLayout.JAVA_LONG_UNALIGNED, 0, id.step());
    HealthScan scan = HealthScan.of(Dtype.F32);
    scan.accept(values);
    int dataCrc = Crc32.of(values);
    int headerCrc = Crc32.of(header, 0, header.length);
    String shard = Names.shard("model", 0, NONCE);
    write(run.names().file(id, shard), MemorySegment.ofArray(header), values);
    byte[] state =
        new StateObject(run.uid(), id, 0, Json.object().put("state", id.step()).build()).encode();
    write(run.names().file(id, Names.state(0, NONCE)), MemorySegment.ofArray(state));
    ShardReceipt receipt =
        new ShardReceipt(
            shard,
            "model",
            header.length + 8L,
            header.length,
            headerCrc,
            Crc32.combine(headerCrc, dataCrc, 8),
            true,
            List.of(
                new PieceReceipt(
                    Piece.whole(WEIGHT),
                    header.length,
                    Granules.hex(new int[] {dataCrc}),
                    scan.result())));
    Part part =
        new Part(
            run.uid(),
            id,
            0,
            1,
            NONCE,
            Json.object().put("loss", 2.5).build(),
            List.of(receipt),
            new FileReceipt(Names.state(0, NONCE), state.length, Crc32.of(state, 0, state.length)),
            List.of(),
            Json.object().put("agent", "bench").build(),
            sealed,
            4.1);
    byte[] bytes = part.encode();
    run.tier().put(run.names().part(id, 0), bytes);
    Manifest manifest = Manifest.of(List.of(StoredPart.of(part, bytes)));
    run.tier().put(run.names().manifest(id), manifest.encode());
  }

  private void write(String name, MemorySegment... pieces) throws IOException {
    try (OpenFile file = run.tier().createShard(name)) {
      long at = 0;
      for (MemorySegment piece : pieces) {
        file.write(at, piece);
        at += piece.byteSize();
      }
    }
  }
}
