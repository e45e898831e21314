package dev.keepstone.core.tensor;

import java.util.Optional;

/// The element types of tensors, under their safetensors names where safetensors has one.
///
/// Sizes are in bits, because `F4` and the `F6` types are smaller than a byte. Keepstone moves bits
/// and never interprets an element here; [#stored()] tells how a type that safetensors lacks is
/// written (safetensors format, "dtype" field; docs/spec/store.md, section Shard).
public enum Dtype {
  BOOL(8),
  F4(4),
  F6_E2M3(6),
  F6_E3M2(6),
  U8(8),
  I8(8),
  F8_E5M2(8),
  F8_E4M3(8),
  F8_E8M0(8),
  F8_E4M3FNUZ(8),
  F8_E5M2FNUZ(8),
  I16(16),
  U16(16),
  F16(16),
  BF16(16),
  I32(32),
  U32(32),
  F32(32),
  C64(64),
  F64(64),
  I64(64),
  U64(64),
  /// Complex of two half floats; torch has it, safetensors does not.
  C32(32),
  /// Complex of two doubles; torch and NumPy have it, safetensors does not.
  C128(128);

  private final int bits;

  Dtype(int bits) {
    this.bits = bits;
  }

  /// Bits of one element.
  public int bits() {
    return bits;
  }

  /// Whether the safetensors format has this type. Those it lacks are stored as [#U8] with the true
  /// type beside them.
  public boolean inSafetensors() {
    return this != C32 && this != C128;
  }

  /// The type under which the bytes stand in a safetensors file.
  public Dtype stored() {
    return inSafetensors() ? this : U8;
  }

  /// The type of this exact (case-sensitive) name, or empty.
  public static Optional<Dtype> named(String name) {
    for (Dtype dtype : values()) {
      if (dtype.name().equals(name)) {
        return Optional.of(dtype);
      }
    }
    return Optional.empty();
  }
}
