package dev.keepstone.core.health;

import dev.keepstone.core.json.Json;
import org.jspecify.annotations.Nullable;

/// What the numbers of one piece look like.
///
/// @param nonfinite elements that are NaN or infinite
/// @param min smallest finite element, null where there is none
/// @param max largest finite element, null where there is none
/// @param norm L2 norm over the finite elements, null where there is none
public record Health(
    long nonfinite, @Nullable Double min, @Nullable Double max, @Nullable Double norm) {
  /// As in a part (docs/spec/store.md, section 2).
  public Json.Obj toJson() {
    return Json.object()
        .put("nonfinite", nonfinite)
        .put("min", json(min))
        .put("max", json(max))
        .put("norm", json(norm))
        .build();
  }

  /// @throws dev.keepstone.core.json.JsonException where a field is missing or of another type
  public static Health fromJson(Json.Obj fields) {
    return new Health(
        fields.integer("nonfinite"),
        real(fields, "min"),
        real(fields, "max"),
        real(fields, "norm"));
  }

  private static Json json(@Nullable Double value) {
    return value == null ? Json.NULL : Json.of(value.doubleValue());
  }

  private static @Nullable Double real(Json.Obj fields, String name) {
    return fields.has(name) ? (Double) fields.real(name) : null;
  }
}
