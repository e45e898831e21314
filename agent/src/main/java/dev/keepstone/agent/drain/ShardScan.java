package dev.keepstone.agent.drain;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.health.HealthScan;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.segment.layout.PiecePlace;
import dev.keepstone.segment.layout.ShardPlace;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Checksums and health of one shard image, granule by granule in file order.
///
/// It is driven block by block next to the writes, but granules do not follow the blocks' grid: a
/// granule is read whole with the block in which it begins. All of the image stands still while it
/// is drained, so reading ahead of the writer is as good as reading with it.
final class ShardScan {
  private final MemorySegment area;
  private final ShardPlace shard;
  private final List<PiecePlace> pieces;
  private final List<PieceReceipt> receipts = new ArrayList<>();
  private final int headerCrc32;
  private int crc32;
  private int next;
  private @Nullable PieceScan open;

  /// @param area the slot or the constant area that holds the image
  ShardScan(MemorySegment area, Layout layout, int shardIndex) {
    this.area = area;
    this.shard = layout.shards().get(shardIndex);
    this.pieces = layout.fileOrder(shardIndex).stream().map(layout.pieces()::get).toList();
    this.headerCrc32 = Crc32.of(area.asSlice(shard.offset(), shard.headerBytes()));
    this.crc32 = headerCrc32;
  }

  /// Scans every granule that begins before this offset of the file.
  void upTo(long fileOffset) {
    long end = shard.offset() + fileOffset;
    while (next < pieces.size()) {
      PieceScan scan = open == null ? new PieceScan(pieces.get(next)) : open;
      open = scan;
      if (!scan.upTo(end)) {
        return;
      }
      receipts.add(scan.receipt());
      open = null;
      next++;
    }
  }

  /// The receipt, once all is scanned.
  ShardReceipt receipt(String file) {
    upTo(Long.MAX_VALUE - shard.offset());
    return new ShardReceipt(
        file,
        shard.component(),
        shard.byteLength(),
        shard.headerBytes(),
        headerCrc32,
        crc32,
        shard.whole(),
        receipts);
  }

  /// One piece under way.
  private final class PieceScan {
    private final PiecePlace place;
    private final int[] crcs;
    private final @Nullable HealthScan health;
    private int granule;

    PieceScan(PiecePlace place) {
      this.place = place;
      this.crcs = new int[Math.toIntExact(Granules.count(place.piece().byteLength()))];
      var dtype = place.piece().tensor().dtype();
      this.health = HealthScan.counts(dtype) ? HealthScan.of(dtype) : null;
    }

    /// @return whether the piece is done
    boolean upTo(long end) {
      while (granule < crcs.length) {
        long at = place.at() + (long) granule * Granules.BYTES;
        if (at >= end) {
          return false;
        }
        MemorySegment bytes = area.asSlice(at, Math.min(Granules.BYTES, place.end() - at));
        int crc = Crc32.of(bytes);
        crcs[granule++] = crc;
        crc32 = Crc32.combine(crc32, crc, bytes.byteSize());
        if (health != null) {
          health.accept(bytes);
        }
      }
      return true;
    }

    PieceReceipt receipt() {
      return new PieceReceipt(
          place.piece(),
          place.at() - shard.offset(),
          Granules.hex(crcs),
          health == null ? null : health.result());
    }
  }
}
