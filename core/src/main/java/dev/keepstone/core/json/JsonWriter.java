package dev.keepstone.core.json;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/// Writes JSON compactly and deterministically: the same value gives the same bytes, everywhere.
///
/// Own code and not the tokenizer's generator, because the bytes of a manifest are compared between
/// agents of different versions: which characters are escaped, and how a double is printed, must
/// not change with a library.
public final class JsonWriter {
  private static final String HEX = "0123456789abcdef";

  private static final int BLOCK_CHARS = 64 << 10;

  private final StringBuilder out;
  private final Consumer<StringBuilder> grown;

  /// @param grown called between two values; may take what is there and empty it
  private JsonWriter(StringBuilder out, Consumer<StringBuilder> grown) {
    this.out = out;
    this.grown = grown;
  }

  /// Compact text: no spaces, only what JSON demands is escaped, doubles in their shortest form and
  /// always with a fraction or an exponent.
  public static String compact(Json value) {
    StringBuilder text = new StringBuilder();
    new JsonWriter(text, _ -> {}).write(value);
    return text.toString();
  }

  /// [#compact] in blocks: the whole text of a long document is never held.
  public static void write(Json value, Consumer<String> out) {
    StringBuilder text = new StringBuilder();
    new JsonWriter(
            text,
            full -> {
              if (full.length() >= BLOCK_CHARS) {
                out.accept(full.toString());
                full.setLength(0);
              }
            })
        .write(value);
    out.accept(text.toString());
  }

  /// [#compact] in UTF-8. As text alone, a long document would take its length three times more.
  public static byte[] bytes(Json value) {
    List<byte[]> blocks = new ArrayList<>();
    write(value, block -> blocks.add(block.getBytes(StandardCharsets.UTF_8)));
    byte[] bytes = new byte[blocks.stream().mapToInt(block -> block.length).sum()];
    int at = 0;
    for (byte[] block : blocks) {
      System.arraycopy(block, 0, bytes, at, block.length);
      at += block.length;
    }
    return bytes;
  }

  private void write(Json value) {
    grown.accept(out);
    switch (value) {
      case Json.Null() -> out.append("null");
      case Json.Bool(boolean bool) -> out.append(bool);
      case Json.Int(long number) -> out.append(number);
      case Json.Big(BigInteger number) -> out.append(number);
      case Json.Real(double number) -> out.append(number);
      case Json.Text(String text) -> quote(text);
      case Json.Array(var values) -> {
        out.append('[');
        for (Iterator<Json> it = values.iterator(); it.hasNext(); ) {
          write(it.next());
          if (it.hasNext()) {
            out.append(',');
          }
        }
        out.append(']');
      }
      case Json.Obj(var fields) -> {
        out.append('{');
        for (Iterator<Map.Entry<String, Json>> it = fields.entrySet().iterator(); it.hasNext(); ) {
          Map.Entry<String, Json> field = it.next();
          quote(field.getKey());
          out.append(':');
          write(field.getValue());
          if (it.hasNext()) {
            out.append(',');
          }
        }
        out.append('}');
      }
    }
  }

  private void quote(String text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        default -> {
          // A lone surrogate has no UTF-8 form: written raw it would come back as a question mark.
          if (c < 0x20 || Character.isSurrogate(c) && !paired(text, i)) {
            out.append("\\u");
            for (int shift = 12; shift >= 0; shift -= 4) {
              out.append(HEX.charAt((c >> shift) & 15));
            }
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }

  private static boolean paired(String text, int i) {
    char c = text.charAt(i);
    return Character.isHighSurrogate(c)
        ? i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))
        : i > 0 && Character.isHighSurrogate(text.charAt(i - 1));
  }
}
