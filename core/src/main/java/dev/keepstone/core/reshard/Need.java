package dev.keepstone.core.reshard;

import dev.keepstone.core.bytes.Granules;
import java.util.BitSet;

/// What is needed of a saved piece.
///
/// @param piece its index among those of the checkpoint
/// @param granules which of its granules, at least one; nobody changes it any more
public record Need(int piece, BitSet granules) {
  /// Bytes of these granules.
  ///
  /// @param pieceBytes of the whole piece
  public long byteLength(long pieceBytes) {
    long all = (long) granules.cardinality() * Granules.BYTES;
    long beyond = (long) granules.length() * Granules.BYTES - pieceBytes;
    return all - Math.max(0, beyond);
  }
}
