package dev.keepstone.cli;

import dev.keepstone.core.convert.ConvertReport;
import dev.keepstone.core.json.Json;
import java.util.Locale;

/// How verbs that copy tensors tell what they did.
final class Copied {
  private static final double NANOS = 1e9;

  private Copied() {}

  /// @param began in nanoseconds of the host's clock
  static Json.Builder tell(ConvertReport report, String target, long began, Console console) {
    Json.Builder fields = Json.object();
    double seconds = (console.shell().host().clock().nanos() - began) / NANOS;
    console.say(
        "wrote "
            + Units.count(report.operations().size(), "tensor")
            + ", "
            + Units.size(report.bytesWritten())
            + ", to "
            + target
            + String.format(Locale.ROOT, " in %.1f s", seconds));
    if (!report.unused().isEmpty()) {
      console.note(Units.count(report.unused().size(), "tensor") + " of the source left out");
    }
    report
        .toJson()
        .fields()
        .forEach((name, value) -> {
          fields.put(name, value);
          if (name.equals("bytes_written")) {
            fields.put("seconds", seconds);
          }
        });
    return fields;
  }
}
