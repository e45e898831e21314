package dev.keepstone.store.fact;

import java.util.Locale;
import java.util.Optional;

/// Which end of a metric is the better one.
public enum Mode {
  MIN,
  MAX;

  /// How it stands in policies and commands.
  public String text() {
    return name().toLowerCase(Locale.ROOT);
  }

  /// The mode of that name.
  public static Optional<Mode> find(String text) {
    return switch (text) {
      case "min" -> Optional.of(MIN);
      case "max" -> Optional.of(MAX);
      default -> Optional.empty();
    };
  }

  /// Whether one value beats another. NaN beats nothing, and everything else beats NaN.
  public boolean better(double one, double other) {
    if (Double.isNaN(one)) {
      return false;
    }
    return Double.isNaN(other) || (this == MIN ? one < other : one > other);
  }
}
