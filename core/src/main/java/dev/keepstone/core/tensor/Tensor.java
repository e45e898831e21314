package dev.keepstone.core.tensor;

/// What a tensor is, apart from its bytes.
///
/// @param name unique inside its component; any text, the empty one included
/// @param shape the global shape, whatever part of it one rank holds
public record Tensor(String name, Dtype dtype, Shape shape) {
  public Tensor {
    shape.byteLength(dtype);
  }

  /// Bytes of the whole tensor.
  public long byteLength() {
    return shape.byteLength(dtype);
  }
}
