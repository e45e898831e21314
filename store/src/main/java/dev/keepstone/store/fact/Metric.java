package dev.keepstone.store.fact;

import dev.keepstone.core.json.Json;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/// A metric's value in JSON: a number, or the state tree's form of one that JSON lacks,
/// `{"~":"float","v":"nan"}`.
public final class Metric {
  private static final String NAN = "nan";
  private static final String INFINITE = "inf";
  private static final String MINUS_INFINITE = "-inf";

  private Metric() {}

  /// The value; empty where it is none.
  public static OptionalDouble value(@Nullable Json json) {
    return switch (json) {
      case Json.Int(long value) -> OptionalDouble.of(value);
      case Json.Real(double value) -> OptionalDouble.of(value);
      case Json.Obj tagged
          when tagged.get("~") instanceof Json.Text(String kind)
              && kind.equals("float")
              && tagged.get("v") instanceof Json.Text(String word) ->
          word(word);
      case null, default -> OptionalDouble.empty();
    };
  }

  private static OptionalDouble word(String word) {
    return switch (word) {
      case INFINITE -> OptionalDouble.of(Double.POSITIVE_INFINITY);
      case MINUS_INFINITE -> OptionalDouble.of(Double.NEGATIVE_INFINITY);
      default ->
          word.equals(NAN) || word.matches("nan:[0-9a-f]{16}")
              ? OptionalDouble.of(Double.NaN)
              : OptionalDouble.empty();
    };
  }

  static boolean isNumber(Json json) {
    return value(json).isPresent();
  }
}
