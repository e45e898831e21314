package dev.keepstone.store.part;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.object.Fields;
import dev.keepstone.store.object.Names;

/// A file beside the shards: the state tree, an index, a configuration.
///
/// @param file its name in the checkpoint's folder
/// @param bytes its size
/// @param crc32 the checksum of all of it
public record FileReceipt(String file, long bytes, int crc32) {
  public FileReceipt {
    Names.requirePlain(file);
    if (bytes < 0) {
      throw new IllegalArgumentException(file + ": size is not negative, found " + bytes);
    }
  }

  Json.Obj toJson() {
    return Json.object()
        .put("file", file)
        .put("bytes", bytes)
        .put("crc32", Crc32.hex(crc32))
        .build();
  }

  static FileReceipt fromJson(Json.Obj fields) {
    return new FileReceipt(
        fields.text("file"), Fields.bytes(fields, "bytes"), Fields.crc(fields, "crc32"));
  }
}
