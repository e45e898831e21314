package dev.keepstone.store.object;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.reference.CheckpointId;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/// Fields that more than one kind of object has, and what they may hold.
public final class Fields {
  private static final int UID_DIGITS = 32;
  private static final int NONCE_DIGITS = 8;

  private Fields() {}

  /// @throws JsonException where the field is no ISO-8601 time in UTC
  public static Instant instant(Json.Obj fields, String name) {
    String text = fields.text(name);
    try {
      return Instant.parse(text);
    } catch (DateTimeException e) {
      throw new JsonException(
          "field \"" + name + "\": expected a time as 2026-11-24T07:30:00Z, found \"" + text + "\"",
          e);
    }
  }

  /// @throws JsonException where the field is no checkpoint id
  public static CheckpointId id(Json.Obj fields, String name) {
    String text = fields.text(name);
    return CheckpointId.find(text)
        .orElseThrow(() ->
            new JsonException(
                "field \"" + name + "\": expected an id as 3-500, found \"" + text + "\""));
  }

  /// @throws JsonException where the field is no integer from `lowest` to `highest`
  public static long range(Json.Obj fields, String name, long lowest, long highest) {
    long value = fields.integer(name);
    if (value < lowest || value > highest) {
      throw new JsonException(
          "field \"" + name + "\": expected " + lowest + " to " + highest + ", found " + value);
    }
    return value;
  }

  /// @throws JsonException where the field is no integer from `lowest` on that fits an `int`
  public static int count(Json.Obj fields, String name, int lowest) {
    return (int) range(fields, name, lowest, Integer.MAX_VALUE);
  }

  /// @throws JsonException where the field is no count of bytes
  public static long bytes(Json.Obj fields, String name) {
    return range(fields, name, 0, Long.MAX_VALUE);
  }

  /// @throws JsonException where the field is no checksum
  public static int crc(Json.Obj fields, String name) {
    String text = fields.text(name);
    try {
      return Crc32.parse(text);
    } catch (IllegalArgumentException e) {
      throw new JsonException("field \"" + name + "\": " + e.getMessage(), e);
    }
  }

  /// @throws JsonException where the field is no array of objects
  public static List<Json.Obj> objects(Json.Obj fields, String name) {
    List<Json.Obj> objects = new ArrayList<>();
    for (Json value : fields.array(name)) {
      if (!(value instanceof Json.Obj object)) {
        throw new JsonException("field \"" + name + "\": expected objects");
      }
      objects.add(object);
    }
    return objects;
  }

  /// @throws IllegalArgumentException where the text is no run uid
  public static void requireUid(String uid) {
    requireHex("a run uid", uid, UID_DIGITS);
  }

  /// @throws IllegalArgumentException where the text is no nonce
  public static void requireNonce(String nonce) {
    requireHex("a nonce", nonce, NONCE_DIGITS);
  }

  static boolean isNonce(String text) {
    return isHex(text, NONCE_DIGITS);
  }

  private static void requireHex(String what, String text, int digits) {
    if (!isHex(text, digits)) {
      throw new IllegalArgumentException(
          what + " is " + digits + " lower-case hex digits, found \"" + text + "\"");
    }
  }

  private static boolean isHex(String text, int digits) {
    return text.length() == digits
        && text.chars().allMatch(c -> c >= '0' && c <= '9' || c >= 'a' && c <= 'f');
  }
}
