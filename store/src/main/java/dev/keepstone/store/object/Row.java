package dev.keepstone.store.object;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.reference.CheckpointId;
import java.util.List;

/// One row of an object that has so many that their fields have places and no names.
///
/// Everything here throws a [JsonException] where the row is shorter, or the field another.
public record Row(List<Json> fields) {
  public static Row of(Json json) {
    if (json instanceof Json.Array(List<Json> fields)) {
      return new Row(fields);
    }
    throw new JsonException("expected a row");
  }

  /// What is no row but fields with names.
  public static Json.Obj object(Json json) {
    if (json instanceof Json.Obj object) {
      return object;
    }
    throw new JsonException("expected an object");
  }

  public int size() {
    return fields.size();
  }

  public Json get(int place) {
    if (place >= fields.size()) {
      throw new JsonException(
          "expected a row of more than " + place + " fields, found " + fields.size());
    }
    return fields.get(place);
  }

  public long integer(int place) {
    return get(place) instanceof Json.Int(long value) ? value : wrong(place, "an integer");
  }

  /// An integer from `lowest` on that fits an `int`.
  public int count(int place, int lowest) {
    long value = integer(place);
    return value >= lowest && value <= Integer.MAX_VALUE
        ? (int) value
        : wrong(place, "an integer from " + lowest + " on");
  }

  public double real(int place) {
    return switch (get(place)) {
      case Json.Int(long value) -> value;
      case Json.Real(double value) -> value;
      default -> wrong(place, "a number");
    };
  }

  /// A start, and in the place after it a step.
  public CheckpointId id(int place) {
    return new CheckpointId(count(place, 1), integer(place + 1));
  }

  private <T> T wrong(int place, String expected) {
    throw new JsonException(
        "field " + place + " of a row: expected " + expected + ", found " + get(place));
  }
}
