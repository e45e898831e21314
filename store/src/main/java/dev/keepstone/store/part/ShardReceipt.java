package dev.keepstone.store.part;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.object.Fields;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.reference.CheckpointId;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// One shard as it lies in a checkpoint's folder: this one's, or that of another checkpoint of the
/// run which has stored the same bytes before.
///
/// @param file its name in the folder
/// @param from whose folder it lies in, where that is another checkpoint's; never one that itself
///   has it from elsewhere
/// @param component model, optimizer, …
/// @param bytes size of the file
/// @param header where its data begins: length prefix and padded header, a granule of its own
/// @param headerCrc32 the checksum of those bytes
/// @param crc32 the checksum of the whole file
/// @param whole whether every piece in it is all of its tensor
/// @param pieces in file order, without gaps from `header` to the end
public record ShardReceipt(
    String file,
    @Nullable CheckpointId from,
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

  /// A shard in the checkpoint's own folder.
  public ShardReceipt(
      String file,
      String component,
      long bytes,
      long header,
      int headerCrc32,
      int crc32,
      boolean whole,
      List<PieceReceipt> pieces) {
    this(file, null, component, bytes, header, headerCrc32, crc32, whole, pieces);
  }

  /// The checkpoint whose folder holds the file.
  ///
  /// @param own whose part this is in
  public CheckpointId home(CheckpointId own) {
    return from == null ? own : from;
  }

  /// The file as seen from the folder of the checkpoint whose part this is in.
  public String path() {
    return from == null ? file : "../" + from + "/" + file;
  }

  /// The same shard, seen from another checkpoint.
  ///
  /// @param home whose folder holds it; null for that other one's own
  public ShardReceipt usedFrom(@Nullable CheckpointId home) {
    return new ShardReceipt(
        file, home, component, bytes, header, headerCrc32, crc32, whole, pieces);
  }

  Json.Obj toJson() {
    Json.Builder fields = Json.object().put("file", file);
    if (from != null) {
      fields.put("from", from.toString());
    }
    return fields
        .put("component", component)
        .put("bytes", bytes)
        .put("header", header)
        .put("header_crc32", Crc32.hex(headerCrc32))
        .put("crc32", Crc32.hex(crc32))
        .put("whole", whole)
        .put("pieces", Json.array(pieces, PieceReceipt::toJson))
        .build();
  }

  static ShardReceipt fromJson(Json.Obj fields) {
    return new ShardReceipt(
        fields.text("file"),
        fields.has("from") ? Fields.id(fields, "from") : null,
        fields.text("component"),
        Fields.bytes(fields, "bytes"),
        Fields.bytes(fields, "header"),
        Fields.crc(fields, "header_crc32"),
        Fields.crc(fields, "crc32"),
        fields.bool("whole"),
        Fields.objects(fields, "pieces").stream().map(PieceReceipt::fromJson).toList());
  }
}
