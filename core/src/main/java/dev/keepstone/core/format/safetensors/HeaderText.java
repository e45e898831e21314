package dev.keepstone.core.format.safetensors;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// The bytes of a header as JSON tokens, in one pass: strict JSON in strict UTF-8.
///
/// A JSON library makes characters of all bytes first and an object of every word; of a header of
/// 100 MB that is most of the time. Here names stay where they lie, and words that come again and
/// again are made once.
final class HeaderText {
  private static final int WORDS_REMEMBERED = 64;
  private static final int LONGEST_NUMBER_TOLD = 40;

  /// Bytes that stand for themselves in a string.
  private static final boolean[] PLAIN = new boolean[256];

  static {
    Arrays.fill(PLAIN, ' ', 0x80, true);
    PLAIN['"'] = false;
    PLAIN['\\'] = false;
  }

  private final byte[] bytes;
  private final long offset;
  private final String[] words = new String[WORDS_REMEMBERED];
  private int at;
  private int token;
  private boolean escaped;

  /// @param bytes all of the text; names with escapes are written over with what they mean
  /// @param offset where it begins in the file; defects are told by offsets in the file
  HeaderText(byte[] bytes, long offset) {
    this.bytes = bytes;
    this.offset = offset;
    Arrays.fill(words, "");
  }

  /// Something in the text is not as JSON or the format wants it.
  static final class Defect extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final long offset;

    Defect(String what, long offset) {
      super(what);
      this.offset = offset;
    }

    /// Where, in the file.
    long offset() {
      return offset;
    }
  }

  /// What the token begun last breaks.
  Defect defect(String what) {
    return new Defect(what, offset + token);
  }

  private Defect notJson(String what, int where) {
    return new Defect("the header is not JSON: " + what, offset + where);
  }

  /// Steps over blanks to the next token, and tells its first byte; -1 at the end of the text.
  int peek() {
    while (at < bytes.length) {
      int next = bytes[at];
      if (next != ' ' && next != '\n' && next != '\r' && next != '\t') {
        token = at;
        return next & 0xff;
      }
      at++;
    }
    token = at;
    return -1;
  }

  /// Takes a token of one byte, if it is the next.
  boolean take(char wanted) {
    if (peek() != wanted) {
      return false;
    }
    at++;
    return true;
  }

  /// @throws Defect where the next token is another
  void expect(char wanted, String words) {
    if (!take(wanted)) {
      throw expected(words);
    }
  }

  Defect expected(String words) {
    int where = token;
    byteAt(0);
    return new Defect("expected " + words + ", found " + found(), offset + where);
  }

  /// Steps to the next value, or name, of an array or object, or to its end.
  ///
  /// @param first whether none was read yet
  /// @param end the closing bracket, which is not taken
  /// @return whether there is one more
  boolean advance(boolean first, char end) {
    int next = peek();
    if (next == end) {
      return false;
    }
    if (first) {
      return true;
    }
    if (next != ',') {
      throw unexpected("',' or '" + end + "'");
    }
    at++;
    if (peek() == end) {
      throw unexpected("a value after ','");
    }
    return true;
  }

  /// The name of a field; its colon is not taken.
  String name() {
    if (peek() != '"') {
      throw unexpected("a name in quotes");
    }
    return sound(string());
  }

  /// As [#name], without a string made of it.
  void name(EntryColumns into) {
    if (peek() != '"') {
      throw unexpected("a name in quotes");
    }
    int begin = at + 1;
    int length = plainLength();
    if (bytes[begin + length] == '"') {
      at = begin + length + 1;
    } else {
      // What an escape means is never longer than the escape.
      byte[] utf8 = sound(string()).getBytes(StandardCharsets.UTF_8);
      length = utf8.length;
      System.arraycopy(utf8, 0, bytes, begin, length);
    }
    into.name(begin, begin + length);
  }

  /// As [#name], with its colon, for one of a few that come in every entry.
  String fieldName() {
    if (peek() != '"') {
      throw unexpected("a name in quotes");
    }
    String name = sound(word());
    colon();
    return name;
  }

  void colon() {
    int name = token;
    if (peek() != ':') {
      throw unexpected("':'");
    }
    at++;
    token = name;
  }

  /// The string that is the next token.
  String soundString() {
    return sound(string());
  }

  /// Only an escape can bring half a character: half of one in UTF-8 is no UTF-8.
  private String sound(String text) {
    if (escaped && hasLoneSurrogate(text)) {
      throw defect("a lone surrogate in " + Quoted.text(text));
    }
    return text;
  }

  static boolean hasLoneSurrogate(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isSurrogate(c)) {
        if (Character.isLowSurrogate(c)
            || i + 1 == text.length()
            || !Character.isLowSurrogate(text.charAt(i + 1))) {
          return true;
        }
        i++;
      }
    }
    return false;
  }

  private String string() {
    int length = plainLength();
    at++;
    if (bytes[at + length] != '"') {
      return new Escapes(length).text();
    }
    escaped = false;
    String text = new String(bytes, at, length, StandardCharsets.ISO_8859_1);
    at += length + 1;
    return text;
  }

  /// A string of which there are few in the whole text.
  String word() {
    escaped = false;
    int length = plainLength();
    at++;
    if (bytes[at + length] != '"') {
      return new Escapes(length).text();
    }
    int hash = length;
    for (int i = at; i < at + length; i++) {
      hash = 31 * hash + bytes[i];
    }
    String known = words[hash & (WORDS_REMEMBERED - 1)];
    if (!isHere(known, length)) {
      known = new String(bytes, at, length, StandardCharsets.ISO_8859_1);
      words[hash & (WORDS_REMEMBERED - 1)] = known;
    }
    at += length + 1;
    return known;
  }

  private boolean isHere(String text, int length) {
    if (text.length() != length) {
      return false;
    }
    for (int i = 0; i < length; i++) {
      if (text.charAt(i) != bytes[at + i]) {
        return false;
      }
    }
    return true;
  }

  /// How many plain bytes follow the quote; the one after them is there.
  private int plainLength() {
    int i = at + 1;
    while (i < bytes.length && PLAIN[bytes[i] & 0xff]) {
      i++;
    }
    int length = i - at - 1;
    byteAt(length + 1);
    return length;
  }

  /// A whole number from 0 to 2^63 − 1, as the next token. Digits alone: `-0`, `2.0` and `2e0` are
  /// floats to the reference.
  long natural(String what) {
    int first = peek();
    if (first < '0' || first > '9') {
      throw first == '-' && isBeyond(number()) ? beyond(what) : expectedNatural(what);
    }
    long value = first - '0';
    int length = 1;
    for (int next = byteAt(1); next >= '0' && next <= '9'; next = byteAt(++length)) {
      value = 10 * value + next - '0';
    }
    // Up to 18 digits cannot overflow; anything but digits of a number without a leading zero is
    // read once more, by the grammar.
    int next = byteAt(length);
    if (length > 18 || first == '0' && length > 1 || next == '.' || (next | 0x20) == 'e') {
      String text = number();
      if (isBeyond(text)) {
        throw beyond(what);
      }
      if (text.length() > length) {
        throw expectedNatural(what);
      }
      value = Long.parseLong(text);
    }
    at += length;
    return value;
  }

  private Defect expectedNatural(String what) {
    return expected(what + " of at least 0");
  }

  private Defect beyond(String what) {
    return defect(what + " " + shortened(number()) + " is beyond 2^63 - 1");
  }

  private static boolean isBeyond(String number) {
    if (!number.chars().allMatch(c -> c == '-' || c >= '0' && c <= '9')) {
      return false;
    }
    try {
      Long.parseLong(number);
      return false;
    } catch (NumberFormatException _) {
      return true;
    }
  }

  private static String shortened(String number) {
    return number.length() > LONGEST_NUMBER_TOLD
        ? number.substring(0, LONGEST_NUMBER_TOLD) + "…"
        : number;
  }

  /// The number that begins here, by the grammar of JSON; it is not taken.
  private String number() {
    int length = byteAt(0) == '-' ? 1 : 0;
    if (byteAt(length) == '0') {
      length++;
      if (isDigit(byteAt(length))) {
        throw notJson("a number with a leading zero", at);
      }
    } else {
      length = digits(length);
    }
    if (byteAt(length) == '.') {
      length = digits(length + 1);
    }
    if ((byteAt(length) | 0x20) == 'e') {
      int sign = byteAt(length + 1);
      length = digits(sign == '+' || sign == '-' ? length + 2 : length + 1);
    }
    return new String(bytes, at, length, StandardCharsets.ISO_8859_1);
  }

  private int digits(int from) {
    int length = from;
    while (isDigit(byteAt(length))) {
      length++;
    }
    if (length == from) {
      throw notJson("expected a digit in a number", at + length);
    }
    return length;
  }

  private static boolean isDigit(int next) {
    return next >= '0' && next <= '9';
  }

  /// Steps over a value that the format does not know.
  ///
  /// @param deeper how many levels of arrays and objects it may have
  void skip(int deeper) {
    switch (peek()) {
      case '{', '[' -> {
        if (deeper == 0) {
          throw notJson("more than " + HeaderParser.MAX_DEPTH + " levels", token);
        }
        char end = bytes[at++] == '{' ? '}' : ']';
        for (boolean first = true; advance(first, end); first = false) {
          if (end == '}') {
            fieldName();
          }
          skip(deeper - 1);
        }
        at++;
      }
      case '"' -> string();
      case 't' -> literal("true");
      case 'f' -> literal("false");
      case 'n' -> literal("null");
      default -> {
        if (!isDigit(bytes[at]) && bytes[at] != '-') {
          throw unexpected("a value");
        }
        at += number().length();
      }
    }
  }

  /// Takes `null`, if it is the next.
  boolean takeNull() {
    if (peek() != 'n') {
      return false;
    }
    literal("null");
    return true;
  }

  private String literal(String word) {
    for (int i = 0; i < word.length(); i++) {
      if (byteAt(i) != word.charAt(i)) {
        throw unexpected("a value");
      }
    }
    at += word.length();
    return word;
  }

  /// The next token in words. Takes it or not; only a message comes after this.
  String found() {
    int next = peek();
    return switch (next) {
      case '{' -> "an object";
      case '[' -> "an array";
      case '}' -> "the end of the object";
      case ']' -> "the end of the array";
      case '"' -> "the string " + Quoted.text(string());
      case 't' -> literal("true");
      case 'f' -> literal("false");
      case 'n' -> literal("null");
      default -> {
        if (!isDigit(next) && next != '-') {
          throw unexpected("a value");
        }
        yield "the number " + shortened(number());
      }
    };
  }

  private Defect unexpected(String expected) {
    int next = byteAt(0);
    String found =
        next > ' ' && next < 0x7f ? "'" + (char) next + "'" : String.format("byte 0x%02x", next);
    return notJson("expected " + expected + ", found " + found, at);
  }

  private int byteAt(int ahead) {
    if (at + ahead >= bytes.length) {
      throw notJson("it ends too early", bytes.length);
    }
    return bytes[at + ahead] & 0xff;
  }

  /// A string with escapes or letters beyond ASCII, byte by byte.
  private final class Escapes {
    private final StringBuilder out;

    Escapes(int plain) {
      out = new StringBuilder(new String(bytes, at, plain, StandardCharsets.ISO_8859_1));
      at += plain;
    }

    String text() {
      escaped = false;
      while (true) {
        int next = byteAt(0);
        if (next == '"') {
          at++;
          return out.toString();
        } else if (next == '\\') {
          escape();
        } else if (next < ' ') {
          throw unexpected("no control character in a string");
        } else if (next < 0x80) {
          out.append((char) next);
          at++;
        } else {
          beyondAscii(next);
        }
      }
    }

    private void escape() {
      at++;
      int letter = byteAt(0);
      switch (letter) {
        case '"', '\\', '/' -> out.append((char) letter);
        case 'b' -> out.append('\b');
        case 'f' -> out.append('\f');
        case 'n' -> out.append('\n');
        case 'r' -> out.append('\r');
        case 't' -> out.append('\t');
        case 'u' -> {
          int unit = 0;
          for (int i = 1; i <= 4; i++) {
            int digit = Character.digit(byteAt(i), 16);
            if (digit < 0) {
              at += i;
              throw unexpected("four hexadecimal digits");
            }
            unit = unit << 4 | digit;
          }
          escaped = true;
          out.append((char) unit);
          at += 4;
        }
        default -> throw unexpected("an escape of JSON");
      }
      at++;
    }

    /// One character of two to four bytes; neither overlong, nor a surrogate, nor beyond Unicode.
    private void beyondAscii(int first) {
      if (first < 0xc0 || first > 0xf7) {
        throw notUtf8();
      }
      int length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
      int point = first & (0x7f >> length);
      for (int i = 1; i < length; i++) {
        int next = byteAt(i);
        if ((next & 0xc0) != 0x80) {
          throw notUtf8();
        }
        point = point << 6 | next & 0x3f;
      }
      int least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
      if (point < least
          || point > Character.MAX_CODE_POINT
          || point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE) {
        throw notUtf8();
      }
      out.appendCodePoint(point);
      at += length;
    }

    private Defect notUtf8() {
      return new Defect("the header is not UTF-8", offset + at);
    }
  }
}
