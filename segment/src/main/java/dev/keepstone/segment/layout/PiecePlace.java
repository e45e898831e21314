package dev.keepstone.segment.layout;

import dev.keepstone.core.tensor.Piece;

/// Where one registered piece lies.
///
/// @param shard index of its shard
/// @param piece its tensor and slice
/// @param at offset of its first byte from the start of the slot
public record PiecePlace(int shard, Piece piece, long at) {
  /// Where the piece ends, from the start of the slot.
  public long end() {
    return at + piece.byteLength();
  }
}
