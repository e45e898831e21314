package dev.keepstone.core.health;

import dev.keepstone.core.tensor.Dtype;
import java.lang.foreign.MemorySegment;

/// Computes the [Health] of one piece from its bytes, chunk by chunk, in order.
///
/// Plain loops over small heap arrays, which the JIT compiler turns into vector code: over memory
/// segments it does not. One core does about 5 GB/s of F32, checksum included, and half of that of
/// BF16. Not for use by several threads at once.
public final class HealthScan {
  private final Kernel kernel;
  private final int elementBytes;

  private HealthScan(Kernel kernel, int elementBytes) {
    this.kernel = kernel;
    this.elementBytes = elementBytes;
  }

  /// The loops of one element type.
  sealed interface Kernel permits WordKernel, DoubleKernel {
    /// Adds little-endian elements, at most [#BLOCK_BYTES] of them.
    void accept(MemorySegment block);

    Health result();
  }

  /// Bytes staged in a heap array at once: half of a first-level cache or so.
  static final int BLOCK_BYTES = 64 << 10;

  /// Whether elements of this type have an order and infinities, so that there is a health of them.
  public static boolean counts(Dtype dtype) {
    return dtype == Dtype.F64 || dtype == Dtype.F32 || dtype == Dtype.F16 || dtype == Dtype.BF16;
  }

  /// A scan that has seen nothing.
  ///
  /// @throws IllegalArgumentException where [#counts] is false
  public static HealthScan of(Dtype dtype) {
    if (!counts(dtype)) {
      throw new IllegalArgumentException("elements of " + dtype + " have no health");
    }
    Kernel kernel =
        dtype == Dtype.F64 ? new DoubleKernel() : new WordKernel(WordKernel.Lanes.of(dtype));
    return new HealthScan(kernel, dtype.bits() / 8);
  }

  /// Adds the next bytes of the piece.
  ///
  /// @throws IllegalArgumentException where they end within an element
  public void accept(MemorySegment bytes) {
    if (bytes.byteSize() % elementBytes != 0) {
      throw new IllegalArgumentException(
          "%d bytes end within an element of %d".formatted(bytes.byteSize(), elementBytes));
    }
    for (long at = 0; at < bytes.byteSize(); at += BLOCK_BYTES) {
      kernel.accept(bytes.asSlice(at, Math.min(BLOCK_BYTES, bytes.byteSize() - at)));
    }
  }

  /// The health of all elements so far.
  public Health result() {
    return kernel.result();
  }
}
