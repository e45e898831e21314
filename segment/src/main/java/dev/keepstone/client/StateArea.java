package dev.keepstone.client;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import java.util.List;
import java.util.Map;

/// What a save puts into the state area of its slot: docs/spec/segment.md section 3.1.
final class StateArea {
  private StateArea() {}

  static byte[] encode(Map<String, Double> metrics, List<? extends Json> values) {
    Json.Builder numbers = Json.object();
    metrics.forEach((name, value) -> numbers.put(name, number(value)));
    return JsonWriter.bytes(
        Json.object().put("metrics", numbers.build()).put("values", Json.array(values)).build());
  }

  /// JSON has no NaN and no infinities; the state tree has words for them.
  private static Json number(double value) {
    if (Double.isFinite(value)) {
      return Json.of(value);
    }
    String word = Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
    return Json.object().put("~", "float").put("v", word).build();
  }
}
