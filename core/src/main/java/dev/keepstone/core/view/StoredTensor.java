package dev.keepstone.core.view;

import dev.keepstone.core.tensor.Tensor;
import java.util.List;

/// A tensor of a checkpoint and where it lies.
///
/// @param component the part of the state it belongs to; empty where the format has none
/// @param tensor with its true dtype, whatever type its bytes are stored under
/// @param pieces cover the tensor without hole or overlap
public record StoredTensor(String component, Tensor tensor, List<StoredPiece> pieces) {
  public StoredTensor {
    pieces = List.copyOf(pieces);
  }

  /// Whether all of it lies in one piece.
  public boolean isWhole() {
    return pieces.size() == 1 && pieces.getFirst().slice().covers(tensor.shape());
  }
}
