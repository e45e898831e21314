package dev.keepstone.core.health;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import org.jspecify.annotations.Nullable;

/// What can be told of a piece's values without keeping them (docs/spec/store.md, section on
/// parts).
///
/// @param nonfinite elements that are NaN or infinite, ≥ 0
/// @param min the least finite element, -0.0 being less than 0.0; null where there is none
/// @param max the greatest finite element; null where there is none
/// @param norm the square root of the sum of the squares of the finite elements; null where there
///   is none or where it is beyond a double
public record Health(
    long nonfinite, @Nullable Double min, @Nullable Double max, @Nullable Double norm) {
  public Health {
    if (nonfinite < 0) {
      throw new IllegalArgumentException("a count is at least 0, found " + nonfinite);
    }
  }

  /// `{"nonfinite":0,"min":-1.5,"max":2.0,"norm":2.5}`.
  public Json.Obj toJson() {
    return Json.object()
        .put("nonfinite", nonfinite)
        .put("min", number(min))
        .put("max", number(max))
        .put("norm", number(norm))
        .build();
  }

  /// @throws JsonException where a field is missing or of another type
  public static Health fromJson(Json.Obj json) {
    long nonfinite = json.integer("nonfinite");
    if (nonfinite < 0) {
      throw new JsonException("field \"nonfinite\": expected at least 0, found " + nonfinite);
    }
    return new Health(nonfinite, number(json, "min"), number(json, "max"), number(json, "norm"));
  }

  private static Json number(@Nullable Double value) {
    return value == null ? Json.NULL : Json.of(value.doubleValue());
  }

  private static @Nullable Double number(Json.Obj json, String name) {
    return json.get(name) instanceof Json.Null ? null : json.real(name);
  }
}
