package dev.keepstone.store.reference;

/// Numbers as they stand in names: decimal digits without leading zeros, so that one number has one
/// spelling and no two names mean the same object.
public final class Decimal {
  private static final int MOST_DIGITS = 18;

  private Decimal() {}

  /// The number that this text is, or -1 where it is none or above `highest`.
  public static long find(String text, long highest) {
    if (text.isEmpty() || text.length() > MOST_DIGITS) {
      return -1;
    }
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) < '0' || text.charAt(i) > '9') {
        return -1;
      }
    }
    if (text.charAt(0) == '0' && text.length() > 1) {
      return -1;
    }
    long value = Long.parseLong(text);
    return value > highest ? -1 : value;
  }
}
