package dev.keepstone.segment.layout;

import dev.keepstone.core.tensor.Piece;

/// One piece of state as its trainer registers it.
///
/// @param component the shard it goes to: model, optimizer, …
/// @param piece its tensor and slice
public record RegisteredPiece(String component, Piece piece) {
  /// How messages name it.
  String describe() {
    return component + "/" + piece.tensor().name();
  }
}
