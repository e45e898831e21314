package dev.keepstone.store.part;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.object.Fields;
import dev.keepstone.store.object.Names;
import java.util.List;

/// One shard as it lies in the checkpoint's folder.
///
/// @param file its name in the folder
/// @param component model, optimizer, …
/// @param bytes size of the file
/// @param header where its data begins: length prefix and padded header, a granule of its own
/// @param headerCrc32 the checksum of those bytes
/// @param crc32 the checksum of the whole file
/// @param whole whether every piece in it is all of its tensor
/// @param pieces in file order, without gaps from `header` to the end
public record ShardReceipt(
    String file,
    String component,
    long bytes,
    long header,
    int headerCrc32,
    int crc32,
    boolean whole,
    List<PieceReceipt> pieces) {
  public ShardReceipt {
    Names.requirePlain(file);
    Names.requireComponent(component);
    pieces = List.copyOf(pieces);
    long at = header;
    for (PieceReceipt piece : pieces) {
      if (piece.at() != at) {
        throw new IllegalArgumentException(
            file
                + ": expected tensor \""
                + piece.piece().tensor().name()
                + "\" at "
                + at
                + ", found "
                + piece.at());
      }
      at = Math.addExact(at, piece.bytes());
    }
    if (header < 8 || at != bytes) {
      throw new IllegalArgumentException(
          file + ": expected pieces from " + header + " to " + bytes + ", found to " + at);
    }
    if (whole != pieces.stream().allMatch(piece -> piece.piece().isWhole())) {
      throw new IllegalArgumentException(file + ": \"whole\" is not what its pieces are");
    }
  }

  Json.Obj toJson() {
    return Json.object()
        .put("file", file)
        .put("component", component)
        .put("bytes", bytes)
        .put("header", header)
        .put("header_crc32", Crc32.hex(headerCrc32))
        .put("crc32", Crc32.hex(crc32))
        .put("whole", whole)
        .put("pieces", Json.array(pieces.stream().map(PieceReceipt::toJson).toList()))
        .build();
  }

  static ShardReceipt fromJson(Json.Obj fields) {
    return new ShardReceipt(
        fields.text("file"),
        fields.text("component"),
        Fields.bytes(fields, "bytes"),
        Fields.bytes(fields, "header"),
        Fields.crc(fields, "header_crc32"),
        Fields.crc(fields, "crc32"),
        fields.bool("whole"),
        Fields.objects(fields, "pieces").stream().map(PieceReceipt::fromJson).toList());
  }
}
