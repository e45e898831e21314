package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.tier.LocalTier;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;

/// Looks at what agents left in a store, without any agent.
final class Stores {
  private Stores() {}

  static Run run(Path store) {
    LocalTier tier = new LocalTier(Disk.local(), store, Nodes.CLOCK, "00000000", Duration.ZERO);
    return StoreRoot.open(tier).run("run");
  }

  /// Every granule of every piece against the bytes that [RawTrainer] sealed at that step, and each
  /// file against its receipt.
  static void requireWhole(Path store, String text) throws IOException {
    CheckpointId id = CheckpointId.parse(text);
    Run run = run(store);
    for (Part part : run.parts(run.manifest(id))) {
      for (ShardReceipt shard : part.shards()) {
        byte[] file =
            Files.readAllBytes(store.resolve("run/checkpoints/" + id).resolve(shard.path()));
        assertThat(file).hasSize((int) shard.bytes());
        assertThat(Crc32.of(file, 0, file.length)).isEqualTo(shard.crc32());
        for (int i = 0; i < shard.pieces().size(); i++) {
          requirePiece(file, shard.pieces().get(i), id);
        }
      }
    }
  }

  private static void requirePiece(byte[] file, PieceReceipt piece, CheckpointId id) {
    String name = piece.piece().tensor().name();
    MemorySegment expected = RawTrainer.expected(name, piece.bytes(), id.step());
    byte[] found = Arrays.copyOfRange(file, (int) piece.at(), (int) (piece.at() + piece.bytes()));
    assertThat(MemorySegment.ofArray(found).mismatch(expected))
        .as("%s, tensor %s: first difference", id, name)
        .isEqualTo(-1);
    int[] crcs = Granules.parse(piece.crcs());
    for (int granule = 0; granule < crcs.length; granule++) {
      int from = granule * Granules.BYTES;
      int length = Math.min(Granules.BYTES, found.length - from);
      assertThat(crcs[granule]).isEqualTo(Crc32.of(found, from, length));
    }
  }
}
