package dev.keepstone.segment.layout;

import dev.keepstone.core.tensor.Piece;

/// One piece of state as its trainer registers it.
///
/// @param component the shard it goes to: model, optimizer, …
/// @param piece its tensor and slice
/// @param frozen whether the trainer promises that its bytes stay as they are
public record RegisteredPiece(String component, Piece piece, boolean frozen) {
  /// A piece that may change.
  public RegisteredPiece(String component, Piece piece) {
    this(component, piece, false);
  }

  /// How messages name it.
  String describe() {
    return component + "/" + piece.tensor().name();
  }
}
