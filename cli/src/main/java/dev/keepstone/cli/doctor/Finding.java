package dev.keepstone.cli.doctor;

import org.jspecify.annotations.Nullable;

/// One thing that was looked at.
///
/// @param check what, in a word or two
/// @param found what is there
/// @param next what to change; null where nothing is
public record Finding(String check, Verdict verdict, String found, @Nullable String next) {
  /// How good it is.
  public enum Verdict {
    /// As it should be.
    OK,
    /// Works, and not as well as it could.
    WARN,
    /// Saving will fail.
    FAIL
  }

  static Finding ok(String check, String found) {
    return new Finding(check, Verdict.OK, found, null);
  }

  static Finding warn(String check, String found, String next) {
    return new Finding(check, Verdict.WARN, found, next);
  }

  static Finding fail(String check, String found, String next) {
    return new Finding(check, Verdict.FAIL, found, next);
  }
}
