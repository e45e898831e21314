package dev.keepstone.segment.layout;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// What every layout keeps, whoever made it: one that was planned, and one that was read from a
/// file that anybody may have damaged.
final class Soundness {
  /// What the names of shard files have room for (docs/spec/store.md section 1).
  private static final int MOST_GROUPS = 9999;

  private Soundness() {}

  static void check(long stateCapacity, List<ShardPlace> shards, List<PiecePlace> pieces) {
    require(
        stateCapacity >= Layout.MIN_STATE_CAPACITY
            && stateCapacity <= Layout.MAX_STATE_CAPACITY
            && stateCapacity % Layout.ALIGNMENT == 0,
        "state area of " + stateCapacity + " bytes");
    Set<List<Object>> named = new HashSet<>();
    long slotEnd = stateCapacity;
    long constantEnd = 0;
    for (ShardPlace shard : shards) {
      if (shard.constant()) {
        constantEnd = checkShard(shard, constantEnd);
      } else {
        slotEnd = checkShard(shard, slotEnd);
      }
      require(
          shard.group() >= 0
              && shard.group() <= MOST_GROUPS
              && named.add(List.of(shard.component(), shard.group())),
          "two shards " + shard.group() + " of \"" + shard.component() + "\"");
    }
    List<List<PiecePlace>> byShard = new ArrayList<>();
    shards.forEach(_ -> byShard.add(new ArrayList<>()));
    for (PiecePlace piece : pieces) {
      require(
          piece.shard() >= 0 && piece.shard() < shards.size(),
          "piece of " + piece.piece().tensor().name() + " in shard " + piece.shard());
      byShard.get(piece.shard()).add(piece);
    }
    for (int i = 0; i < shards.size(); i++) {
      checkPieces(shards.get(i), byShard.get(i));
    }
  }

  private static long checkShard(ShardPlace shard, long after) {
    String where = "shard \"" + shard.component() + "\" ";
    require(
        shard.offset() >= after && shard.offset() % Layout.ALIGNMENT == 0,
        where + "at " + shard.offset() + ", after " + after);
    require(
        shard.headerBytes() > 0
            && shard.headerBytes() % Layout.ALIGNMENT == 0
            && shard.headerBytes() <= Integer.MAX_VALUE
            && shard.byteLength() >= shard.headerBytes()
            && shard.byteLength() <= Long.MAX_VALUE - Layout.ALIGNMENT - shard.offset(),
        where + "of " + shard.byteLength() + " bytes with a header of " + shard.headerBytes());
    return shard.end();
  }

  private static void checkPieces(ShardPlace shard, List<PiecePlace> pieces) {
    require(!pieces.isEmpty(), "shard \"" + shard.component() + "\" without pieces");
    pieces.sort(Layout.fileOrder(PiecePlace::piece));
    long at = shard.offset() + shard.headerBytes();
    boolean whole = true;
    for (PiecePlace piece : pieces) {
      require(
          piece.at() == at,
          "piece of "
              + shard.component()
              + "/"
              + piece.piece().tensor().name()
              + " at "
              + piece.at()
              + ", expected "
              + at);
      // No overflow: the bytes left in the shard are known to fit.
      require(
          piece.piece().byteLength() <= shard.end() - at,
          "piece of " + piece.piece().tensor().name() + " beyond its shard");
      at += piece.piece().byteLength();
      whole &= piece.piece().isWhole();
    }
    require(
        at == shard.end(),
        "shard \"" + shard.component() + "\" ends at " + shard.end() + ", its pieces at " + at);
    require(whole == shard.whole(), "shard \"" + shard.component() + "\" whole: " + shard.whole());
  }

  private static void require(boolean holds, String found) {
    if (!holds) {
      throw new IllegalArgumentException("no sound layout: " + found);
    }
  }
}
