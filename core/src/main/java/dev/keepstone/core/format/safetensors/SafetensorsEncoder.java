package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.core.tensor.Tensor;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Writes the header of a safetensors file.
public final class SafetensorsEncoder {
  private static final int LENGTH_BYTES = 8;

  private SafetensorsEncoder() {}

  /// The order in which the reference writer lays out a file: larger elements first, so that every
  /// tensor begins at a multiple of its element size, then by name in UTF-8 order.
  public static Comparator<Tensor> referenceOrder() {
    return Comparator.comparing((Tensor tensor) -> tensor.dtype().stored().ordinal())
        .reversed()
        .thenComparing(Tensor::name, SafetensorsEncoder::compareUtf8);
  }

  /// The first bytes of a file: the length, then compact JSON padded with spaces. Tensors are
  /// packed without gaps in the given order.
  ///
  /// A dtype that the format lacks is written in its stored form, with the true one in the
  /// metadata.
  ///
  /// @param inFileOrder names differ from each other and from `__metadata__`
  /// @param metadata `__metadata__` in this order; left out where there is none
  /// @param alignment the result's length is a multiple of it: 8 as the reference writes, 4096 for
  ///   data that direct reads and maps can take as they lie
  /// @throws KeepstoneException.Refused where the format cannot hold it
  public static byte[] header(
      List<Tensor> inFileOrder, Map<String, String> metadata, int alignment) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(256 + 128 * inFileOrder.size());
    out.writeBytes(new byte[LENGTH_BYTES]);
    out.write('{');
    writeMetadata(TrueDtypes.annotate(inFileOrder, metadata), out);
    Set<String> names = HashSet.newHashSet(inFileOrder.size());
    long at = 0;
    for (Tensor tensor : inFileOrder) {
      if (!names.add(tensor.name()) || tensor.name().equals(HeaderParser.METADATA)) {
        throw refused("the name " + Quoted.text(tensor.name()) + " is taken");
      }
      if (out.size() > LENGTH_BYTES + 1) {
        out.write(',');
      }
      at = writeEntry(TrueDtypes.stored(tensor), at, out);
    }
    out.write('}');
    byte[] padding = new byte[Math.floorMod(-out.size(), alignment)];
    Arrays.fill(padding, (byte) ' ');
    out.writeBytes(padding);
    int jsonBytes = out.size() - LENGTH_BYTES;
    if (jsonBytes > SafetensorsHeader.MAX_JSON_BYTES) {
      throw refused(
          "the header of "
              + inFileOrder.size()
              + " tensors takes "
              + jsonBytes
              + " bytes, the format ends at "
              + SafetensorsHeader.MAX_JSON_BYTES);
    }
    byte[] header = out.toByteArray();
    ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putLong(0, jsonBytes);
    return header;
  }

  private static void writeMetadata(Map<String, String> metadata, ByteArrayOutputStream out) {
    if (metadata.isEmpty()) {
      return;
    }
    Json.Builder fields = Json.object();
    metadata.forEach((key, value) -> fields.put(encodable(key), encodable(value)));
    write("\"" + HeaderParser.METADATA + "\":" + JsonWriter.compact(fields.build()), out);
  }

  private static long writeEntry(Tensor stored, long begin, ByteArrayOutputStream out) {
    long end = Math.addExact(begin, stored.byteLength());
    StringBuilder entry = new StringBuilder(96);
    entry.append(JsonWriter.compact(Json.of(encodable(stored.name()))));
    entry.append(":{\"dtype\":\"").append(stored.dtype().name()).append("\",\"shape\":[");
    for (int d = 0; d < stored.shape().rank(); d++) {
      entry.append(d == 0 ? "" : ",").append(stored.shape().extent(d));
    }
    entry.append("],\"data_offsets\":[").append(begin).append(',').append(end).append("]}");
    write(entry.toString(), out);
    return end;
  }

  private static void write(String text, ByteArrayOutputStream out) {
    out.writeBytes(text.getBytes(StandardCharsets.UTF_8));
  }

  /// Lone surrogates have no UTF-8; written as escapes they would make a file no reader accepts.
  private static String encodable(String text) {
    if (HeaderText.hasLoneSurrogate(text)) {
      throw refused("the text " + Quoted.text(text) + " has a lone surrogate, which UTF-8 lacks");
    }
    return text;
  }

  private static int compareUtf8(String a, String b) {
    // UTF-8 order is code point order; String.compareTo is UTF-16 order, which puts U+1F600 before
    // U+FB00.
    int common = Math.min(a.length(), b.length());
    for (int i = 0; i < common; i++) {
      char x = a.charAt(i);
      char y = b.charAt(i);
      if (x != y) {
        boolean xHigh = Character.isSurrogate(x);
        boolean yHigh = Character.isSurrogate(y);
        return xHigh == yHigh ? Character.compare(x, y) : xHigh ? 1 : -1;
      }
    }
    return Integer.compare(a.length(), b.length());
  }

  private static KeepstoneException.Refused refused(String what) {
    return new KeepstoneException.Refused(
        "not possible as a safetensors file: " + what,
        "safetensors header",
        "rename the tensors or split them over several files");
  }
}
