package dev.keepstone.core.pickle;

import dev.keepstone.core.tensor.Tensor;
import java.util.List;

/// A tensor that a pickle speaks of, and where its bytes are.
///
/// @param component the part of the state it belongs to
/// @param tensor its name is unique in the component
public record PickledTensor(String component, Tensor tensor, Origin origin) {
  /// Where bytes are.
  public sealed interface Origin {}

  /// In a storage, with strides.
  ///
  /// @param offset of the first element, in elements
  /// @param extents in elements of `elementBytes`, which torch may count otherwise than the
  ///   tensor's shape: a byte of two F4 is one of them
  /// @param strides in elements, ≥ 0; all of it lies inside the storage
  /// @param unitBytes of what a machine of the other byte order turns around: half an element where
  ///   it is complex
  /// @param conjugate whether the imaginary parts have the other sign than the storage says
  /// @param negative whether all values have
  public record Strided(
      Storage storage,
      long offset,
      List<Long> extents,
      List<Long> strides,
      int elementBytes,
      int unitBytes,
      boolean conjugate,
      boolean negative)
      implements Origin {
    public Strided {
      extents = List.copyOf(extents);
      strides = List.copyOf(strides);
    }

    /// Elements of it.
    public long elementCount() {
      long count = 1;
      for (long extent : extents) {
        count *= extent;
      }
      return count;
    }

    /// Whether its elements follow each other in the storage, in row-major order.
    public boolean isContiguous() {
      long expected = 1;
      for (int d = extents.size() - 1; d >= 0; d--) {
        if (extents.get(d) != 1 && strides.get(d) != expected) {
          return elementCount() == 0;
        }
        expected *= Math.max(1, extents.get(d));
      }
      return true;
    }
  }

  /// In the pickle itself, as NumPy's arrays and long byte strings are.
  ///
  /// @param bytes row-major and little-endian; not to be changed
  /// @param offset in the file of the opcode that made it
  public record Held(byte[] bytes, long offset) implements Origin {}

  /// Bytes that tensors lie in.
  ///
  /// @param key under which the file keeps it
  /// @param bytes as many as the pickle says; not yet held against the file
  /// @param elementBytes of the elements that it is counted in; 1 where an element is smaller
  public record Storage(String key, long bytes, int elementBytes) {}
}
