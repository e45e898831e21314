package dev.keepstone.agent;

import dev.keepstone.segment.place.AgentDirectory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// The agent's few arguments. People meet them through `keepstone agent start`, which explains
/// them.
///
/// @param options those given; in the foreground the log is also told to stderr
record CommandLine(AgentOptions options, boolean foreground) {
  private static final Pattern SIZE = Pattern.compile("([0-9]{1,15})([KMGTP]i?B|B)?");
  private static final Pattern TIME = Pattern.compile("([0-9]{1,9})(ms|s|min|h)");
  private static final String PREFIXES = "KMGTP";

  /// @throws IllegalArgumentException saying what is wrong
  static CommandLine parse(String[] arguments, Map<String, String> environment) {
    AgentDirectory directory = AgentDirectory.of(environment);
    Long budget = null;
    Long limitRate = null;
    Long scrubRate = null;
    @Nullable Duration idle = null;
    boolean foreground = false;
    boolean gentle = false;
    Duration stopTimeout = AgentOptions.DEFAULT_STOP_TIMEOUT;
    Iterator<String> rest = List.of(arguments).iterator();
    while (rest.hasNext()) {
      String name = rest.next();
      switch (name) {
        case "--foreground" -> foreground = true;
        case "--dir" -> directory = new AgentDirectory(Path.of(value(name, rest)));
        case "--budget" -> budget = bytes(name, value(name, rest));
        case "--limit-rate" -> limitRate = bytes(name, value(name, rest));
        case "--scrub" -> scrubRate = bytes(name, value(name, rest));
        case "--gentle" -> gentle = true;
        case "--stop-timeout" -> stopTimeout = time(name, value(name, rest));
        case "--idle" -> idle = time(name, value(name, rest));
        default -> throw new IllegalArgumentException("unknown option " + name);
      }
    }
    if (idle == null) {
      // Who runs it in the foreground supervises it: an end nobody asked for would look like a
      // crash.
      idle = foreground ? AgentOptions.NO_IDLE_END : AgentOptions.DEFAULT_IDLE;
    }
    AgentOptions options =
        new AgentOptions(
            directory,
            budget,
            limitRate,
            idle,
            AgentOptions.SHORTEST_GRACE,
            scrubRate,
            gentle,
            stopTimeout,
            foreground ? System.err::println : line -> {});
    return new CommandLine(options, foreground);
  }

  private static String value(String name, Iterator<String> rest) {
    if (!rest.hasNext()) {
      throw new IllegalArgumentException(name + " needs a value");
    }
    return rest.next();
  }

  /// A size as in `8GiB`, `500MB` or `1048576`; positive.
  static long bytes(String name, String text) {
    Matcher matcher = SIZE.matcher(text);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(name + ": expected a size as in 8GiB, found " + text);
    }
    long bytes = Long.parseLong(matcher.group(1));
    @Nullable String unit = matcher.group(2);
    if (unit != null && !unit.equals("B")) {
      long step = unit.contains("i") ? 1024 : 1000;
      for (int i = 0; i <= PREFIXES.indexOf(unit.charAt(0)); i++) {
        bytes = Math.multiplyExact(bytes, step);
      }
    }
    if (bytes == 0) {
      throw new IllegalArgumentException(name + ": expected more than nothing, found " + text);
    }
    return bytes;
  }

  /// A time as in `10min`, `90s` or `500ms`.
  static Duration time(String name, String text) {
    Matcher matcher = TIME.matcher(text.toLowerCase(Locale.ROOT));
    if (!matcher.matches()) {
      throw new IllegalArgumentException(name + ": expected a time as in 10min, found " + text);
    }
    long count = Long.parseLong(matcher.group(1));
    return switch (String.valueOf(matcher.group(2))) {
      case "ms" -> Duration.ofMillis(count);
      case "s" -> Duration.ofSeconds(count);
      case "min" -> Duration.ofMinutes(count);
      default -> Duration.ofHours(count);
    };
  }
}
