package dev.keepstone.core.format.torch;

import dev.keepstone.core.pickle.PickledTensor.Strided;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Elements that are not as their storage has them: written by a machine of the other byte order,
/// conjugated or negated when somebody looks.
final class Turned {
  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
  private static final byte SIGN = (byte) 0x80;

  private Turned() {}

  static boolean isNeeded(Strided tensor, boolean bigEndian) {
    return bigEndian && tensor.unitBytes() > 1 || tensor.conjugate() || tensor.negative();
  }

  /// @param elements whole ones
  static void turn(Strided tensor, boolean bigEndian, MemorySegment elements) {
    int unit = tensor.unitBytes();
    if (bigEndian) {
      for (long at = 0; at < elements.byteSize(); at += unit) {
        for (int low = 0, high = unit - 1; low < high; low++, high--) {
          byte last = elements.get(BYTE, at + high);
          elements.set(BYTE, at + high, elements.get(BYTE, at + low));
          elements.set(BYTE, at + low, last);
        }
      }
    }
    if (tensor.conjugate()) {
      sign(elements, tensor.elementBytes() - 1, tensor.elementBytes());
    }
    if (tensor.negative()) {
      sign(elements, unit - 1, unit);
    }
  }

  private static void sign(MemorySegment elements, long first, long step) {
    for (long at = first; at < elements.byteSize(); at += step) {
      elements.set(BYTE, at, (byte) (elements.get(BYTE, at) ^ SIGN));
    }
  }
}
