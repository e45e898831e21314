package dev.keepstone.store.object;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.json.JsonWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// The form of every JSON object of a store: one line of compact JSON that ends in the checksum of
/// what stands before it (docs/spec/store.md, section 2).
public final class StoreObject {
  /// The version that this code writes of all kinds but one, and the highest that it reads of them.
  public static final int VERSION = 1;

  /// The largest object read or written: 256 MiB.
  public static final long MAX_BYTES = 256L << 20;

  private static final Pattern VERSION_FIELD = Pattern.compile("\\{\"v\":(\\d{1,9}),");
  private static final int BEGIN = 16;
  private static final String CRC_FIELD = ",\"crc32\":";
  private static final int TAIL_BYTES = 21;
  private static final int PIECE = 1 << 20;

  private StoreObject() {}

  /// The first fields of every object.
  public static Json.Builder begin(String kind) {
    return begin(VERSION, kind);
  }

  /// [#begin(String)] of a kind that has a version of its own.
  public static Json.Builder begin(int version, String kind) {
    return Json.object().put("v", version).put("kind", kind);
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

  /// The bytes of an object that is too large to be held as a tree, its checksum added.
  ///
  /// @param head its first fields
  /// @param arrays the fields after them, and what each holds
  /// @throws KeepstoneException.Refused where it would be larger than [#MAX_BYTES]
  public static byte[] encode(
      Json.Obj head, SequencedMap<String, Stream<? extends Json>> arrays, String describe) {
    List<byte[]> pieces = new ArrayList<>();
    byte[] begin = JsonWriter.bytes(head);
    pieces.add(Arrays.copyOf(begin, begin.length - 1));
    for (var array : arrays.entrySet()) {
      StringBuilder piece = new StringBuilder(",\"" + array.getKey() + "\":[");
      for (Iterator<? extends Json> it = array.getValue().iterator(); it.hasNext(); ) {
        piece.append(JsonWriter.compact(it.next()));
        piece.append(it.hasNext() ? "," : "");
        if (piece.length() > PIECE) {
          pieces.add(piece.toString().getBytes(StandardCharsets.UTF_8));
          piece.setLength(0);
        }
      }
      pieces.add(piece.append("]").toString().getBytes(StandardCharsets.UTF_8));
    }
    return assembled(pieces, describe);
  }

  private static byte[] assembled(List<byte[]> pieces, String describe) {
    long body = pieces.stream().mapToLong(piece -> piece.length).sum();
    if (body + TAIL_BYTES > MAX_BYTES) {
      throw new KeepstoneException.Refused(
          "it would have "
              + (body + TAIL_BYTES)
              + " bytes, and no object may have more than "
              + MAX_BYTES,
          describe,
          "begin a new run");
    }
    byte[] bytes = new byte[(int) body + TAIL_BYTES];
    int at = 0;
    for (byte[] piece : pieces) {
      System.arraycopy(piece, 0, bytes, at, piece.length);
      at += piece.length;
    }
    System.arraycopy(tail(bytes, at), 0, bytes, at, TAIL_BYTES);
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
    return decode(bytes, kind, VERSION, describe, Map.of(), fields);
  }

  /// [#decode(byte[], String, String, Function)] of an object that is too large to be held as a
  /// tree.
  ///
  /// @param newest the highest version of that kind that is known here
  /// @param arrays who takes the elements of which field, one by one, before `fields` is asked;
  ///   what they were given counts only when this returns
  public static <T> T decode(
      byte[] bytes,
      String kind,
      int newest,
      String describe,
      Map<String, Consumer<Json>> arrays,
      Function<Json.Obj, T> fields) {
    checkCrc(bytes, describe);
    // Before anything else is read: elements of a later version would be taken for damage.
    checkVersion(bytes, newest, describe);
    try {
      Json.Obj object = JsonReader.readObject(bytes, arrays);
      if (object.integer("v") < 1) {
        throw new JsonException("field \"v\": expected 1, found " + object.integer("v"));
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

  /// Every object of every version begins with its version.
  private static void checkVersion(byte[] bytes, int newest, String describe) {
    String begin = new String(bytes, 0, Math.min(bytes.length, BEGIN), StandardCharsets.ISO_8859_1);
    Matcher version = VERSION_FIELD.matcher(begin);
    if (!version.lookingAt()) {
      throw new KeepstoneException.Integrity(
          "expected the object to begin with {\"v\":" + newest + ",", describe, NEXT);
    }
    if (Long.parseLong(version.group(1)) > newest) {
      throw new KeepstoneException.Unsupported(
          "written in version " + version.group(1) + ", this Keepstone reads up to " + newest,
          describe,
          "update Keepstone");
    }
  }

  /// What kind of object these bytes are, after the same checks as [#decode].
  public static String kind(byte[] bytes, String describe) {
    checkCrc(bytes, describe);
    try {
      return JsonReader.readObject(bytes).text("kind");
    } catch (JsonException e) {
      throw damaged(String.valueOf(e.getMessage()), describe, e);
    }
  }

  private static void checkCrc(byte[] bytes, String describe) {
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
