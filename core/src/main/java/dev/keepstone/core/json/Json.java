package dev.keepstone.core.json;

import java.math.BigInteger;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// A JSON value. Objects keep the order of their fields; integers and reals stay apart, so that `1`
/// and `1.0` survive.
public sealed interface Json {
  /// The JSON `null`.
  record Null() implements Json {}

  /// A truth value.
  record Bool(boolean value) implements Json {}

  /// A number without fraction and exponent that fits 64 bits.
  record Int(long value) implements Json {}

  /// A longer one, which a `double` would change silently.
  record Big(BigInteger value) implements Json {}

  /// A number with fraction or exponent; finite.
  record Real(double value) implements Json {
    public Real {
      if (!Double.isFinite(value)) {
        throw new IllegalArgumentException("JSON has no " + value);
      }
    }
  }

  /// A string.
  record Text(String value) implements Json {}

  /// An array.
  record Array(List<Json> values) implements Json {
    public Array {
      values = values instanceof MadeOnDemand<?> ? values : List.copyOf(values);
    }
  }

  /// An object, in the order of its fields.
  record Obj(Map<String, Json> fields) implements Json {
    public Obj {
      fields = FewFields.copyOf(fields);
    }

    /// The field, or null where it is absent.
    public @Nullable Json get(String name) {
      return fields.get(name);
    }

    /// @throws JsonException where the field is absent or of another type
    public String text(String name) {
      return require(name) instanceof Text(String value) ? value : wrong(name, "a string");
    }

    /// @throws JsonException where the field is absent or of another type
    public long integer(String name) {
      return require(name) instanceof Int(long value) ? value : wrong(name, "an integer");
    }

    /// A number of either kind.
    ///
    /// @throws JsonException where the field is absent or of another type
    public double real(String name) {
      return switch (require(name)) {
        case Int(long value) -> value;
        case Real(double value) -> value;
        default -> wrong(name, "a number");
      };
    }

    /// @throws JsonException where the field is absent or of another type
    public boolean bool(String name) {
      return require(name) instanceof Bool(boolean value) ? value : wrong(name, "true or false");
    }

    /// @throws JsonException where the field is absent or of another type
    public Obj object(String name) {
      return require(name) instanceof Obj value ? value : wrong(name, "an object");
    }

    /// @throws JsonException where the field is absent or of another type
    public List<Json> array(String name) {
      return require(name) instanceof Array(List<Json> values) ? values : wrong(name, "an array");
    }

    /// Whether the field is there and not `null`.
    public boolean has(String name) {
      Json value = fields.get(name);
      return value != null && !(value instanceof Null);
    }

    private Json require(String name) {
      Json value = fields.get(name);
      if (value == null) {
        throw new JsonException("field \"" + name + "\" is missing");
      }
      return value;
    }

    private <T> T wrong(String name, String expected) {
      String found = JsonWriter.compact(require(name));
      throw new JsonException(
          "field \""
              + name
              + "\": expected "
              + expected
              + ", found "
              + (found.length() > 60 ? found.substring(0, 60) + "…" : found));
    }
  }

  Json NULL = new Null();
  Json TRUE = new Bool(true);
  Json FALSE = new Bool(false);

  static Json of(@Nullable String value) {
    return value == null ? NULL : new Text(value);
  }

  static Json of(long value) {
    return value >= 0 && value < SmallIntegers.ALL.length
        ? SmallIntegers.ALL[(int) value]
        : new Int(value);
  }

  static Json of(double value) {
    return new Real(value);
  }

  static Json of(boolean value) {
    return value ? TRUE : FALSE;
  }

  static Array array(List<? extends Json> values) {
    return new Array(List.copyOf(values));
  }

  /// An array whose elements are made whenever somebody looks at one, and not kept: for a long one
  /// that is only written.
  ///
  /// @param elements unmodifiable
  static <T> Array array(List<T> elements, Function<? super T, ? extends Json> form) {
    return new Array(new MadeOnDemand<>(elements, form));
  }

  /// Integers as an array.
  static Array integers(List<Long> values) {
    return new Array(values.stream().map(Json::of).toList());
  }

  /// An object under construction: `Json.object().put("v", 1).build()`.
  static Builder object() {
    return new Builder();
  }

  /// Collects the fields of an object in order.
  final class Builder {
    private final Map<String, Json> fields = new LinkedHashMap<>();

    private Builder() {}

    public Builder put(String name, Json value) {
      if (fields.put(name, value) != null) {
        throw new IllegalStateException("field \"" + name + "\" twice");
      }
      return this;
    }

    public Builder put(String name, @Nullable String value) {
      return put(name, of(value));
    }

    public Builder put(String name, long value) {
      return put(name, of(value));
    }

    public Builder put(String name, double value) {
      return put(name, of(value));
    }

    public Builder put(String name, boolean value) {
      return put(name, of(value));
    }

    public Obj build() {
      return new Obj(fields);
    }
  }
}
