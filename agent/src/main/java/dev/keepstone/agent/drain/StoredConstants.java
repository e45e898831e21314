package dev.keepstone.agent.drain;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.file.SegmentFile;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.run.Run;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Compares the constant area of a segment with what an earlier checkpoint stored, where no memory
/// tells any more: after a new start of the machine or of the agent. To read it once costs less
/// than to write it, and no space.
public final class StoredConstants {
  private static final long BLOCK_BYTES = 8L << 20;

  private StoredConstants() {}

  /// Tells the segment's [Sharing] of each constant shard that lies in the folder of, or is used
  /// by, the checkpoint whose part this is.
  ///
  /// @param part of a checkpoint that is committed
  /// @throws IOException where a file cannot be read; what was found before it stays known
  public static void find(SegmentFile segment, SealRecord seal, Sharing sharing, Part part, Run run)
      throws IOException {
    for (int shard : sharing.unknownConstants()) {
      MemorySegment image = segment.shardImage(seal.slot(), shard);
      for (ShardReceipt receipt : part.shards()) {
        if (sharing.holds(receipt, shard) && same(image, receipt, part, run)) {
          sharing.found(
              shard, new Owner(seal.generation(), receipt.home(part.id()), receipt.usedFrom(null)));
          break;
        }
      }
    }
  }

  private static boolean same(MemorySegment image, ShardReceipt receipt, Part part, Run run)
      throws IOException {
    String name = run.names().file(receipt.home(part.id()), receipt.file());
    try (OpenFile file = run.tier().openShard(name);
        Arena arena = Arena.ofConfined()) {
      if (file.size() != image.byteSize()) {
        return false;
      }
      MemorySegment block = arena.allocate(BLOCK_BYTES, OpenFile.ALIGNMENT);
      for (long at = 0; at < image.byteSize(); at += BLOCK_BYTES) {
        long bytes = Math.min(BLOCK_BYTES, image.byteSize() - at);
        long whole = Math.ceilDiv(bytes, OpenFile.ALIGNMENT) * OpenFile.ALIGNMENT;
        long count = file.read(at, block.asSlice(0, whole));
        if (count < bytes || MemorySegment.mismatch(block, 0, bytes, image, at, at + bytes) >= 0) {
          return false;
        }
      }
      return true;
    }
  }
}
