package dev.keepstone.core.tensor;

/// The part of a tensor that lies contiguous in one shard, row-major and little-endian.
///
/// @param tensor the whole tensor
/// @param slice which part of it; inside the tensor's shape
public record Piece(Tensor tensor, Slice slice) {
  public Piece {
    if (!slice.inside(tensor.shape())) {
      throw new IllegalArgumentException(
          "piece " + slice + " lies outside " + tensor.name() + " of shape " + tensor.shape());
    }
    slice.extent().byteLength(tensor.dtype());
  }

  /// The piece that is all of a tensor.
  public static Piece whole(Tensor tensor) {
    return new Piece(tensor, Slice.whole(tensor.shape()));
  }

  public boolean isWhole() {
    return slice.covers(tensor.shape());
  }

  /// Bytes of this piece.
  public long byteLength() {
    return slice.extent().byteLength(tensor.dtype());
  }
}
