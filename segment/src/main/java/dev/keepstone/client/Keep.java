package dev.keepstone.client;

import dev.keepstone.core.json.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;

/// What retention keeps of a run: a checkpoint stays as long as any of these rules keeps it. The
/// agent refuses what it does not know.
///
/// @param last newest ones; empty: all
/// @param every for good, so far apart: `1000steps`, `6h`
/// @param best by a metric
public record Keep(OptionalInt last, List<String> every, Optional<Best> best) {
  public Keep {
    every = List.copyOf(every);
  }

  /// The best of a run.
  ///
  /// @param count how many; 0 where the metric is only to name them
  /// @param monitor the metric
  /// @param better which of its values is the better one
  public record Best(int count, String monitor, Better better) {}

  /// Which of two values is the better one.
  public enum Better {
    MIN,
    MAX
  }

  /// The newest so many and nothing else.
  public static Keep last(int count) {
    return new Keep(OptionalInt.of(count), List.of(), Optional.empty());
  }

  Json.Obj toJson() {
    Json.Builder rules = Json.object();
    if (last.isPresent()) {
      rules.put("keep_last", last.getAsInt());
    } else {
      rules.put("keep_last", "all");
    }
    if (!every.isEmpty()) {
      List<Json> distances = new ArrayList<>();
      every.forEach(distance -> distances.add(Json.of(distance)));
      rules.put("keep_every", Json.array(distances));
    }
    best.ifPresent(found ->
        rules
            .put("keep_best", found.count)
            .put("monitor", found.monitor)
            .put("mode", found.better.name().toLowerCase(Locale.ROOT)));
    return rules.build();
  }
}
