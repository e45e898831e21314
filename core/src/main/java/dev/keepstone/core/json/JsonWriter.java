package dev.keepstone.core.json;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.Map;

/// Writes JSON compactly and deterministically: the same value gives the same bytes, everywhere.
///
/// Own code and not the tokenizer's generator, because the bytes of a manifest are compared between
/// agents of different versions: which characters are escaped, and how a double is printed, must
/// not change with a library.
public final class JsonWriter {
  private static final String HEX = "0123456789abcdef";

  private JsonWriter() {}

  /// Compact text: no spaces, only what JSON demands is escaped, doubles in their shortest form and
  /// always with a fraction or an exponent.
  public static String compact(Json value) {
    StringBuilder text = new StringBuilder();
    write(value, text);
    return text.toString();
  }

  /// [#compact] in UTF-8.
  public static byte[] bytes(Json value) {
    return compact(value).getBytes(StandardCharsets.UTF_8);
  }

  private static void write(Json value, StringBuilder out) {
    switch (value) {
      case Json.Null() -> out.append("null");
      case Json.Bool(boolean bool) -> out.append(bool);
      case Json.Int(long number) -> out.append(number);
      case Json.Big(BigInteger number) -> out.append(number);
      case Json.Real(double number) -> out.append(number);
      case Json.Text(String text) -> quote(text, out);
      case Json.Array(var values) -> {
        out.append('[');
        for (Iterator<Json> it = values.iterator(); it.hasNext(); ) {
          write(it.next(), out);
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
          quote(field.getKey(), out);
          out.append(':');
          write(field.getValue(), out);
          if (it.hasNext()) {
            out.append(',');
          }
        }
        out.append('}');
      }
    }
  }

  private static void quote(String text, StringBuilder out) {
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
