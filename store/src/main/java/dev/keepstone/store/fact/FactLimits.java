package dev.keepstone.store.fact;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.store.reference.Which;
import java.util.Map;

/// How much a fact may say. A run collects facts for as long as it lives and every reader holds all
/// of them, so that one writer without measure would hurt all.
final class FactLimits {
  private static final int MOST_TEXT = 4096;
  private static final int MOST_METRICS = 1000;
  private static final int MOST_NAME = 256;
  private static final int MOST_RULES = 16_384;

  private FactLimits() {}

  static void requireText(String field, String text) {
    if (text.length() > MOST_TEXT) {
      throw new IllegalArgumentException(
          field + ": expected at most " + MOST_TEXT + " characters, found " + text.length());
    }
  }

  static void requireTag(String tag) {
    if (!Which.isTag(tag)) {
      throw new IllegalArgumentException(
          "a tag begins with a letter, goes on with at most 127 letters, digits, '_' and '.', and"
              + " is none of latest, first, best; found \""
              + (tag.length() > MOST_NAME ? tag.substring(0, MOST_NAME) + "…" : tag)
              + "\"");
    }
  }

  static void requireMetrics(Json.Obj metrics) {
    if (metrics.fields().size() > MOST_METRICS) {
      throw new IllegalArgumentException(
          "expected at most " + MOST_METRICS + " metrics, found " + metrics.fields().size());
    }
    for (Map.Entry<String, Json> metric : metrics.fields().entrySet()) {
      if (metric.getKey().length() > MOST_NAME) {
        throw new IllegalArgumentException(
            "a metric's name has at most "
                + MOST_NAME
                + " characters, found "
                + metric.getKey().length());
      }
      if (!Metric.isNumber(metric.getValue())) {
        throw new IllegalArgumentException("metric \"" + metric.getKey() + "\" is no number");
      }
    }
  }

  static void requireRules(Json.Obj rules) {
    int length = JsonWriter.compact(rules).length();
    if (length > MOST_RULES) {
      throw new IllegalArgumentException(
          "rules have at most " + MOST_RULES + " characters, found " + length);
    }
  }
}
