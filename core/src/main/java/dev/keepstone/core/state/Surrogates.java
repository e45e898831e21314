package dev.keepstone.core.state;

/// UTF-8 as Python's `surrogatepass` writes it: a lone surrogate is three bytes like any other code
/// point of its size, which plain UTF-8 forbids.
final class Surrogates {
  private Surrogates() {}

  /// Whether these bytes are the only form of some string.
  static boolean isUtf8(byte[] bytes) {
    int at = 0;
    while (at < bytes.length) {
      int lead = bytes[at] & 0xff;
      int length =
          lead < 0x80
              ? 1
              : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 0;
      if (length == 0 || at + length > bytes.length) {
        return false;
      }
      int point = length == 1 ? lead : lead & (0x7f >> length);
      for (int i = 1; i < length; i++) {
        if ((bytes[at + i] & 0xc0) != 0x80) {
          return false;
        }
        point = point << 6 | (bytes[at + i] & 0x3f);
      }
      int least = length == 1 ? 0 : length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
      if (point < least || point > Character.MAX_CODE_POINT) {
        return false;
      }
      at += length;
    }
    return true;
  }
}
