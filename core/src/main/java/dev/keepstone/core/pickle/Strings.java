package dev.keepstone.core.pickle;

import dev.keepstone.core.pickle.Value.Atom;
import dev.keepstone.core.state.Blob;
import dev.keepstone.core.state.StateNode;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/// Strings as pickles write them.
final class Strings {
  private Strings() {}

  /// Text of UTF-8; bytes of half a surrogate pair, which Python lets pass, make a raw text.
  static Atom text(byte[] utf8) {
    try {
      return new Atom(
          new StateNode.Text(
              StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8)).toString()));
    } catch (CharacterCodingException e) {
      return new Atom(new StateNode.RawText(Blob.of(utf8)));
    }
  }

  /// Text in Latin-1 with escapes of four or eight hex digits, as protocol 0 writes it.
  static Atom escapedUnicode(byte[] line) {
    StringBuilder text = new StringBuilder(line.length);
    String latin1 = new String(line, StandardCharsets.ISO_8859_1);
    for (int at = 0; at < latin1.length(); at++) {
      char c = latin1.charAt(at);
      int digits =
          c != '\\' || at + 1 == latin1.length()
              ? 0
              : latin1.charAt(at + 1) == 'u' ? 4 : latin1.charAt(at + 1) == 'U' ? 8 : 0;
      int point = digits == 0 ? -1 : hex(latin1, at + 2, digits);
      if (point < 0 || point > Character.MAX_CODE_POINT) {
        text.append(c);
      } else {
        text.appendCodePoint(point);
        at += 1 + digits;
      }
    }
    String decoded = text.toString();
    return StateNode.hasLoneSurrogate(decoded)
        ? new Atom(new StateNode.RawText(Blob.of(surrogatesPassed(decoded))))
        : new Atom(new StateNode.Text(decoded));
  }

  private static int hex(String text, int at, int digits) {
    if (at + digits > text.length()) {
      return -1;
    }
    long value = 0;
    for (int i = at; i < at + digits; i++) {
      int digit = Character.digit(text.charAt(i), 16);
      if (digit < 0) {
        return -1;
      }
      value = 16 * value + digit;
    }
    return value > Character.MAX_CODE_POINT ? -1 : (int) value;
  }

  private static byte[] surrogatesPassed(String text) {
    ByteArrayOutputStream utf8 = new ByteArrayOutputStream();
    text.codePoints()
        .forEach(point -> {
          if (point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE) {
            utf8.write(0xe0 | point >> 12);
            utf8.write(0x80 | point >> 6 & 0x3f);
            utf8.write(0x80 | point & 0x3f);
          } else {
            utf8.writeBytes(Character.toString(point).getBytes(StandardCharsets.UTF_8));
          }
        });
    return utf8.toByteArray();
  }

  /// What Python's `repr` of a byte string stands for.
  static byte[] quoted(PickleInput input, byte[] line, long offset) {
    int last = line.length - 1;
    if (last < 1 || line[0] != line[last] || line[0] != '\'' && line[0] != '"') {
      throw input.broken("expected a string in quotes", offset);
    }
    String latin1 = new String(line, StandardCharsets.ISO_8859_1);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int at = 1; at < last; at++) {
      if (line[at] != '\\') {
        bytes.write(line[at]);
        continue;
      }
      if (++at == last) {
        throw input.broken("a string ends within an escape", offset);
      }
      switch (line[at]) {
        case 'n' -> bytes.write('\n');
        case 'r' -> bytes.write('\r');
        case 't' -> bytes.write('\t');
        case '\\', '\'', '"' -> bytes.write(line[at]);
        case 'x' -> {
          int value = at + 2 < last ? hex(latin1, at + 1, 2) : -1;
          if (value < 0) {
            throw input.broken("a string has a broken escape", offset);
          }
          bytes.write(value);
          at += 2;
        }
        default -> throw input.broken("a string has an escape that Python does not write", offset);
      }
    }
    return bytes.toByteArray();
  }
}
