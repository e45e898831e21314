package dev.keepstone.store.retention;

import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Steps and times as people write them in rules.
final class TimeSpan {
  static final Duration SHORTEST = Duration.ofSeconds(1);

  /// A hundred years: no sum with an hour of the calendar overflows.
  static final Duration LONGEST = Duration.ofDays(36_500);

  private static final Pattern WRITTEN = Pattern.compile("([0-9]{1,16}) ?([a-z]+)");
  private static final Map<String, Duration> UNITS =
      Map.of(
          "s", Duration.ofSeconds(1),
          "m", Duration.ofMinutes(1),
          "min", Duration.ofMinutes(1),
          "h", Duration.ofHours(1),
          "d", Duration.ofDays(1));

  private TimeSpan() {}

  static Optional<Long> steps(String text) {
    Matcher written = written(text);
    return written.matches() && written.group(2).matches("steps?")
        ? Optional.of(Long.parseLong(written.group(1)))
        : Optional.empty();
  }

  static Optional<Duration> parse(String text) {
    Matcher written = written(text);
    if (!written.matches()) {
      return Optional.empty();
    }
    Duration unit = UNITS.get(written.group(2));
    long count = Long.parseLong(written.group(1));
    return unit == null || count > LONGEST.dividedBy(unit)
        ? Optional.empty()
        : Optional.of(unit.multipliedBy(count));
  }

  private static Matcher written(String text) {
    return WRITTEN.matcher(text.strip().toLowerCase(Locale.ROOT));
  }

  /// The largest unit that the time is a whole number of.
  static String unit(Duration time) {
    long seconds = time.toSeconds();
    if (seconds % 86_400 == 0) {
      return "d";
    }
    if (seconds % 3_600 == 0) {
      return "h";
    }
    return seconds % 60 == 0 ? "min" : "s";
  }

  static long number(Duration time) {
    return switch (unit(time)) {
      case "d" -> time.toDays();
      case "h" -> time.toHours();
      case "min" -> time.toMinutes();
      default -> time.toSeconds();
    };
  }
}
