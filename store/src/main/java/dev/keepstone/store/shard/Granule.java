package dev.keepstone.store.shard;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.store.part.PieceReceipt;

/// A part of a piece that has a checksum of its own.
///
/// @param begin in the shard's file
/// @param end after its last byte, in the file
public record Granule(PieceReceipt piece, long begin, long end, int crc32) {
  public long bytes() {
    return end - begin;
  }

  /// Which granule of its piece it is, from 0.
  public int index() {
    return Math.toIntExact((begin - piece.at()) / Granules.BYTES);
  }

  public String tensor() {
    return piece.piece().tensor().name();
  }

  /// Says for people that these bytes are not what was stored.
  String mismatch(int found) {
    long bits = piece.piece().tensor().dtype().bits();
    long first = (begin - piece.at()) * 8 / bits;
    long last = Math.ceilDiv((end - piece.at()) * 8, bits) - 1;
    return "bytes %d..%d do not match their checksum: expected crc32 %s, found %s; in tensor %s, %selements %d..%d"
        .formatted(
            begin,
            end - 1,
            Crc32.hex(crc32),
            Crc32.hex(found),
            tensor(),
            piece.piece().isWhole() ? "" : "piece at " + piece.piece().slice().offset() + ", ",
            first,
            last);
  }
}
