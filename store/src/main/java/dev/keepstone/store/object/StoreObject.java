package dev.keepstone.store.object;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.json.JsonWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.Function;

/// The form of every JSON object of a store: one line of compact JSON that ends in the checksum of
/// what stands before it (docs/spec/store.md, section 2).
public final class StoreObject {
  /// The version that this code writes, and the highest it reads.
  public static final int VERSION = 1;

  /// The largest object read or written: 256 MiB.
  public static final long MAX_BYTES = 256L << 20;

  private static final String CRC_FIELD = ",\"crc32\":";
  private static final int TAIL_BYTES = 21;

  private StoreObject() {}

  /// The first fields of every object.
  public static Json.Builder begin(String kind) {
    return Json.object().put("v", VERSION).put("kind", kind);
  }

  /// The bytes of an object, its checksum added.
  public static byte[] encode(Json.Obj withoutCrc) {
    byte[] json = JsonWriter.bytes(withoutCrc);
    int body = json.length - 1;
    byte[] bytes = Arrays.copyOf(json, body + TAIL_BYTES);
    byte[] tail = tail(bytes, body);
    System.arraycopy(tail, 0, bytes, body, TAIL_BYTES);
    return bytes;
  }

  /// Checks the bytes of an object: size, checksum, JSON, version and kind.
  ///
  /// @param describe the object's name, for messages
  /// @throws KeepstoneException.Integrity where anything is not as written
  /// @throws KeepstoneException.Unsupported where a newer Keepstone wrote it
  public static Json.Obj decode(byte[] bytes, String kind, String describe) {
    return decode(bytes, kind, describe, Function.identity());
  }

  /// [#decode(byte[], String, String)], then the fields of that kind: what `fields` finds wrong
  /// becomes a failure that names the object.
  public static <T> T decode(
      byte[] bytes, String kind, String describe, Function<Json.Obj, T> fields) {
    Json.Obj object = checked(bytes, describe);
    try {
      long version = object.integer("v");
      if (version > VERSION) {
        throw new KeepstoneException.Unsupported(
            "written in version " + version + ", this Keepstone reads up to " + VERSION,
            describe,
            "update Keepstone");
      }
      if (version < 1) {
        throw new JsonException("field \"v\": expected 1, found " + version);
      }
      String found = object.text("kind");
      if (!found.equals(kind)) {
        throw new JsonException(
            "field \"kind\": expected \"" + kind + "\", found \"" + found + "\"");
      }
      return fields.apply(object);
    } catch (JsonException | IllegalArgumentException e) {
      throw damaged(String.valueOf(e.getMessage()), describe, e);
    }
  }

  /// What kind of object these bytes are, after the same checks as [#decode].
  public static String kind(byte[] bytes, String describe) {
    try {
      return checked(bytes, describe).text("kind");
    } catch (JsonException e) {
      throw damaged(String.valueOf(e.getMessage()), describe, e);
    }
  }

  private static Json.Obj checked(byte[] bytes, String describe) {
    if (bytes.length > MAX_BYTES) {
      throw new KeepstoneException.Integrity(
          "expected at most " + MAX_BYTES + " bytes, found " + bytes.length, describe, NEXT);
    }
    int body = bytes.length - TAIL_BYTES;
    byte[] expected = body < 1 ? new byte[0] : tail(bytes, body);
    if (body < 1 || !Arrays.equals(bytes, body, bytes.length, expected, 0, TAIL_BYTES)) {
      String found =
          new String(
              bytes, Math.max(body, 0), Math.min(bytes.length, TAIL_BYTES), StandardCharsets.UTF_8);
      throw new KeepstoneException.Integrity(
          body < 1
              ? "expected at least " + (TAIL_BYTES + 1) + " bytes, found " + bytes.length
              : "checksum: expected the object to end in "
                  + new String(expected, StandardCharsets.UTF_8).strip()
                  + ", found "
                  + found.strip(),
          describe,
          NEXT);
    }
    try {
      return JsonReader.readObject(bytes);
    } catch (JsonException e) {
      throw damaged(String.valueOf(e.getMessage()), describe, e);
    }
  }

  private static final String NEXT =
      "take another checkpoint, or bring back a good copy of this file";

  private static KeepstoneException.Integrity damaged(String what, String on, Exception cause) {
    return new KeepstoneException.Integrity(what, on, NEXT, cause);
  }

  private static byte[] tail(byte[] bytes, int body) {
    String text = CRC_FIELD + "\"" + Crc32.hex(Crc32.of(bytes, 0, body)) + "\"}\n";
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
