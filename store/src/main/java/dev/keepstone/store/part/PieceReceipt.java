package dev.keepstone.store.part;

import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.health.Health;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.object.Fields;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// One piece as it lies in a shard.
///
/// @param piece which part of which tensor
/// @param at where it begins, bytes from the start of the shard's file
/// @param crcs 8 hex digits per granule, in order ([Granules])
/// @param health what its numbers look like; null for types without order, or where it was dropped
public record PieceReceipt(Piece piece, long at, String crcs, @Nullable Health health) {
  private static final int CRC_DIGITS = 8;

  public PieceReceipt {
    if (at < 0) {
      throw new IllegalArgumentException(name(piece) + ": begins at " + at);
    }
    long expected = CRC_DIGITS * Granules.count(piece.byteLength());
    if (crcs.length() != expected) {
      throw new IllegalArgumentException(
          name(piece)
              + ": expected "
              + expected
              + " hex digits of checksums for "
              + piece.byteLength()
              + " bytes, found "
              + crcs.length());
    }
  }

  private static String name(Piece piece) {
    return "tensor \"" + piece.tensor().name() + "\"";
  }

  /// Bytes of the piece.
  public long bytes() {
    return piece.byteLength();
  }

  Json.Obj toJson() {
    Json.Builder fields =
        Json.object()
            .put("name", piece.tensor().name())
            .put("dtype", piece.tensor().dtype().name())
            .put("shape", Json.integers(piece.tensor().shape().extents()))
            .put("offset", Json.integers(piece.slice().offset()))
            .put("extent", Json.integers(piece.slice().extent().extents()))
            .put("at", at)
            .put("bytes", piece.byteLength())
            .put("crcs", crcs);
    if (health != null) {
      fields.put("health", health.toJson());
    }
    return fields.build();
  }

  static PieceReceipt fromJson(Json.Obj fields) {
    String name = fields.text("name");
    String dtype = fields.text("dtype");
    Tensor tensor =
        new Tensor(
            name,
            Dtype.named(dtype)
                .orElseThrow(() ->
                    new JsonException(
                        "tensor \"" + name + "\": no dtype is called \"" + dtype + "\"")),
            new Shape(integers(fields, "shape")));
    Slice slice = new Slice(integers(fields, "offset"), new Shape(integers(fields, "extent")));
    Piece piece = new Piece(tensor, slice);
    long bytes = fields.integer("bytes");
    if (bytes != piece.byteLength()) {
      throw new JsonException(
          "tensor \"" + name + "\": expected " + piece.byteLength() + " bytes, found " + bytes);
    }
    return new PieceReceipt(
        piece,
        Fields.bytes(fields, "at"),
        fields.text("crcs"),
        fields.has("health") ? Health.fromJson(fields.object("health")) : null);
  }

  private static List<Long> integers(Json.Obj fields, String name) {
    List<Long> values = new ArrayList<>();
    for (Json value : fields.array(name)) {
      if (!(value instanceof Json.Int(long integer))) {
        throw new JsonException("field \"" + name + "\": expected integers");
      }
      values.add(integer);
    }
    return values;
  }
}
