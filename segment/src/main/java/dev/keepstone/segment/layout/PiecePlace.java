package dev.keepstone.segment.layout;

import dev.keepstone.core.tensor.Piece;

/// Where one registered piece lies.
///
/// @param shard index of its shard
/// @param piece its tensor and slice
/// @param at offset of its first byte from the start of what its shard lies in: the slot, or the
///   constant area
public record PiecePlace(int shard, Piece piece, long at) {
  /// Where the piece ends.
  public long end() {
    return at + piece.byteLength();
  }
}
