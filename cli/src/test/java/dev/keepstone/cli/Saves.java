package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.Host;
import dev.keepstone.Store;
import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.format.safetensors.SafetensorsWriter;
import dev.keepstone.core.health.HealthScan;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.PartOutcome;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.Put;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// Checkpoints put into a store as an agent puts them: real files, real protocol, small.
final class Saves {
  private static final String NONCE = "7c1e02aa";
  private static final Host HOST = Host.local();

  private final Run run;

  /// @param name of a run that an import has made
  Saves(Path store, String name) {
    this.run = Store.open(HOST, store).run(Optional.of(name));
  }

  Run run() {
    return run;
  }

  /// A new start that goes on from what is wanted.
  int start(Wanted wanted) {
    return start(wanted, 1);
  }

  int start(Wanted wanted, int world) {
    Starts starts = new Starts(run, HOST.clock(), Starts.Check.none());
    return starts.decide(starts.join(HOST.token(), world, wanted)).start();
  }

  /// A checkpoint of one component, of which each rank has pieces.
  ///
  /// @param ranks the bytes of each rank's pieces
  CheckpointId saveRanks(int start, long step, List<Map<Piece, byte[]>> ranks) throws IOException {
    CheckpointId id = new CheckpointId(start, step);
    Commit commit = new Commit(run);
    for (int rank = 0; rank < ranks.size(); rank++) {
      ShardReceipt shard = shard(id, rank, ranks.get(rank));
      assertThat(commit.putPart(part(id, rank, ranks.size(), List.of(shard))))
          .isInstanceOf(PartOutcome.Stands.class);
    }
    commit.publish(id);
    assertThat(run.findManifest(id)).isPresent();
    return id;
  }

  private ShardReceipt shard(CheckpointId id, int rank, Map<Piece, byte[]> pieces)
      throws IOException {
    List<Tensor> stored = new ArrayList<>();
    for (Piece piece : pieces.keySet()) {
      String name = piece.tensor().name() + "@" + stored.size();
      stored.add(new Tensor(name, piece.tensor().dtype(), piece.slice().extent()));
    }
    String file = Names.shard("model", rank, NONCE);
    SafetensorsWriter.Written written;
    try (OpenFile out = run.tier().createShard(run.names().file(id, file));
        SafetensorsWriter writer = SafetensorsWriter.begin(out, stored, Map.of())) {
      for (byte[] bytes : pieces.values()) {
        writer.write(MemorySegment.ofArray(bytes));
      }
      written = writer.finish();
    }
    List<PieceReceipt> receipts = new ArrayList<>();
    long at = written.headerBytes();
    int crc = written.headerCrc();
    for (Piece piece : pieces.keySet()) {
      int[] granules = written.granules().get(receipts.size());
      receipts.add(new PieceReceipt(piece, at, Granules.hex(granules), null));
      at += piece.byteLength();
      crc = Crc32.combine(crc, Granules.combine(granules, piece.byteLength()), piece.byteLength());
    }
    return new ShardReceipt(
        file,
        "model",
        written.fileBytes(),
        written.headerBytes(),
        written.headerCrc(),
        crc,
        pieces.keySet().stream().allMatch(Piece::isWhole),
        receipts);
  }

  /// A checkpoint of one tensor, `weight` of 4 F32.
  CheckpointId save(int start, long step, float... values) throws IOException {
    CheckpointId id = new CheckpointId(start, step);
    MemorySegment bytes = MemorySegment.ofArray(new byte[values.length * 4]);
    MemorySegment.copy(MemorySegment.ofArray(values), 0, bytes, 0, bytes.byteSize());
    return commit(id, List.of(shard(id, "model", "weight", Dtype.F32, bytes)));
  }

  /// A checkpoint of one tensor of random bytes, as large as is wanted.
  CheckpointId save(int start, long step, RandomGenerator random, int byteLength)
      throws IOException {
    CheckpointId id = new CheckpointId(start, step);
    byte[] bytes = new byte[byteLength];
    random.nextBytes(bytes);
    return commit(
        id, List.of(shard(id, "model", "weight", Dtype.U8, MemorySegment.ofArray(bytes))));
  }

  ShardReceipt shard(
      CheckpointId id, String component, String tensorName, Dtype dtype, MemorySegment bytes)
      throws IOException {
    Tensor tensor = new Tensor(tensorName, dtype, Shape.of(bytes.byteSize() * 8 / dtype.bits()));
    String file = Names.shard(component, 0, NONCE);
    SafetensorsWriter.Written written;
    try (OpenFile out = run.tier().createShard(run.names().file(id, file));
        SafetensorsWriter writer =
            SafetensorsWriter.begin(out, List.of(tensor), Map.of("format", "pt"))) {
      writer.write(bytes);
      written = writer.finish();
    }
    int[] granules = written.granules().getFirst();
    @Nullable HealthScan scan = HealthScan.counts(dtype) ? HealthScan.of(dtype) : null;
    if (scan != null) {
      scan.accept(bytes);
    }
    return new ShardReceipt(
        file,
        component,
        written.fileBytes(),
        written.headerBytes(),
        written.headerCrc(),
        Crc32.combine(
            written.headerCrc(), Granules.combine(granules, bytes.byteSize()), bytes.byteSize()),
        true,
        List.of(
            new PieceReceipt(
                Piece.whole(tensor),
                written.headerBytes(),
                Granules.hex(granules),
                scan == null ? null : scan.result())));
  }

  CheckpointId commit(CheckpointId id, List<ShardReceipt> shards) {
    Commit commit = new Commit(run);
    assertThat(commit.putPart(part(id, 0, 1, shards))).isInstanceOf(PartOutcome.Stands.class);
    commit.publish(id);
    assertThat(run.findManifest(id)).isPresent();
    return id;
  }

  private Part part(CheckpointId id, int rank, int world, List<ShardReceipt> shards) {
    Json.Obj inside = Json.object().put("n", id.step()).put("rank", rank).build();
    Json.Obj tree = Json.object().put("state", inside).build();
    byte[] state = new StateObject(run.uid(), id, rank, tree).encode();
    String file = Names.state(rank, NONCE);
    assertThat(run.tier().put(run.names().file(id, file), state)).isInstanceOf(Put.Committed.class);
    return new Part(
        run.uid(),
        id,
        rank,
        world,
        NONCE,
        Json.object().put("loss", 1.0 / (1 + id.step())).build(),
        shards,
        new FileReceipt(file, state.length, Crc32.of(state, 0, state.length)),
        List.of(),
        Json.object().put("client", "test").build(),
        Ran.NOW,
        1);
  }
}
