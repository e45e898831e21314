package dev.keepstone.cli;

import java.time.Duration;
import java.time.Instant;
import java.util.Locale;

/// Numbers as people read them: binary sizes, ages, durations. JSON never uses these.
final class Units {
  private static final String[] SIZES = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

  private Units() {}

  /// `512 B`, `38.4 MiB`, `1.2 TiB`.
  static String size(long bytes) {
    if (bytes < 1024) {
      return bytes + " B";
    }
    double value = bytes;
    int unit = 0;
    // 1023.95 would print as 1024.0.
    while (value >= 1023.95 && unit < SIZES.length - 1) {
      value /= 1024;
      unit++;
    }
    return String.format(Locale.ROOT, "%.1f %s", value, SIZES[unit]);
  }

  /// `now`, `40 s`, `4 min`, `3 h`, `12 days`: how long ago it was.
  static String age(Instant then, Instant now) {
    Duration age = Duration.between(then, now);
    return age.toSeconds() < 1 ? "now" : duration(age);
  }

  /// `40 s`, `4 min`, `3 h`, `12 days`.
  static String duration(Duration duration) {
    long seconds = Math.max(0, duration.toSeconds());
    if (seconds < 120) {
      return seconds + " s";
    }
    if (seconds < 120 * 60) {
      return seconds / 60 + " min";
    }
    if (seconds < 48 * 3600) {
      return seconds / 3600 + " h";
    }
    return seconds / 86400 + " days";
  }

  /// `1,234,567`.
  static String count(long number) {
    return String.format(Locale.ROOT, "%,d", number);
  }

  /// `1 tensor`, `12 tensors`.
  static String count(long number, String thing) {
    return count(number) + " " + thing + (number == 1 ? "" : "s");
  }
}
