package dev.keepstone.store;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.format.safetensors.SafetensorsEncoder;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.tier.Tier;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/// Small checkpoints for tests: one tensor of 8 bytes per rank, rows of one tensor of all.
public final class Checkpoints {
  public static final String NONCE = "7c1e02aa";
  private static final int DATA = 8;

  private Checkpoints() {}

  /// The piece of one rank, as the header of its shard has it.
  private static byte[] header(int world) {
    Tensor stored = new Tensor("weight", Dtype.F32, Shape.of(1, 2));
    return SafetensorsEncoder.header(
        List.of(stored), world == 1 ? Map.of("format", "pt") : Map.of(), 8);
  }

  /// Bytes of one rank's shard.
  private static byte[] shard(CheckpointId id, int rank, int world) {
    byte[] header = header(world);
    byte[] bytes = Arrays.copyOf(header, header.length + DATA);
    for (int i = header.length; i < bytes.length; i++) {
      bytes[i] = (byte) (id.step() * 31 + rank * 7 + i);
    }
    return bytes;
  }

  /// The receipt of one rank.
  public static Part part(String uid, CheckpointId id, int rank, int world, String nonce) {
    int header = header(world).length;
    byte[] bytes = shard(id, rank, world);
    byte[] state = state(uid, id, rank).encode();
    Tensor tensor = new Tensor("weight", Dtype.F32, Shape.of(world, 2));
    Piece piece = new Piece(tensor, new Slice(List.of((long) rank, 0L), Shape.of(1, 2)));
    int[] crcs = {Crc32.of(bytes, header, DATA)};
    ShardReceipt shard =
        new ShardReceipt(
            Names.shard("model", rank, nonce),
            "model",
            bytes.length,
            header,
            Crc32.of(bytes, 0, header),
            Crc32.of(bytes, 0, bytes.length),
            world == 1,
            List.of(new PieceReceipt(piece, header, Granules.hex(crcs), null)));
    return new Part(
        uid,
        id,
        rank,
        world,
        nonce,
        Json.object().put("loss", 2.5).build(),
        List.of(shard),
        new FileReceipt(Names.state(rank, nonce), state.length, Crc32.of(state, 0, state.length)),
        List.of(),
        Json.object().put("agent", "keepstone 0.1.0").build(),
        Instant.parse("2026-11-24T07:32:00Z"),
        4.1);
  }

  private static StateObject state(String uid, CheckpointId id, int rank) {
    return new StateObject(uid, id, rank, Json.object().put("state", id.step()).build());
  }

  /// Writes and syncs the files that the receipt of one rank names.
  public static Part write(Run run, CheckpointId id, int rank, int world, String nonce) {
    Part part = part(run.uid(), id, rank, world, nonce);
    Tier tier = run.tier();
    file(tier, run.names().file(id, part.shards().getFirst().file()), shard(id, rank, world));
    file(tier, run.names().file(id, part.state().file()), state(run.uid(), id, rank).encode());
    return part;
  }

  /// Of a checkpoint whose shard is that of the same rank's save before: writes and syncs its state
  /// alone.
  ///
  /// @param before that rank's part of the save before
  public static Part writeUnchanged(Run run, CheckpointId id, Part before) {
    Part part = part(run.uid(), id, before.rank(), before.world(), before.nonce());
    file(
        run.tier(),
        run.names().file(id, part.state().file()),
        state(run.uid(), id, part.rank()).encode());
    return new Part(
        part.uid(),
        part.id(),
        part.rank(),
        part.world(),
        part.nonce(),
        part.metrics(),
        List.of(before.shards().getFirst().usedFrom(owner(before))),
        part.state(),
        part.extra(),
        part.provenance(),
        part.sealed(),
        part.stallMs());
  }

  /// The checkpoint in whose folder a part's shard lies.
  public static CheckpointId owner(Part part) {
    CheckpointId from = part.shards().getFirst().from();
    return from == null ? part.id() : from;
  }

  private static void file(Tier tier, String name, byte[] bytes) {
    try (OpenFile file = tier.createShard(name)) {
      file.write(0, MemorySegment.ofArray(bytes));
      file.sync();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
