package dev.keepstone.core.json;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.json.JsonFactory;

/// Reads one JSON document strictly: UTF-8, no duplicate keys, nothing after it, no NaN, at most
/// [#MAX_DEPTH] levels.
public final class JsonReader {
  /// The deepest nesting accepted. Below the stack a recursive reader needs, above any document of
  /// ours: a state tree may have 256 levels and each can take two of JSON.
  public static final int MAX_DEPTH = 1000;

  private static final TokenStreamFactory FACTORY =
      JsonFactory.builder()
          .disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(MAX_DEPTH)
                  .maxStringLength(Integer.MAX_VALUE)
                  .maxNameLength(Integer.MAX_VALUE)
                  .build())
          .build();

  private static final int NAMES_REMEMBERED = 256;

  private final JsonParser parser;
  private long left;
  private final String[] names = new String[NAMES_REMEMBERED];

  private JsonReader(JsonParser parser, long mostValues) {
    this.parser = parser;
    this.left = mostValues;
    Arrays.fill(names, "");
  }

  /// @throws JsonException with the byte offset of the defect
  public static Json read(byte[] utf8) {
    return read(utf8, 0, utf8.length);
  }

  /// @throws JsonException with the byte offset of the defect
  public static Json read(byte[] utf8, int from, int length) {
    return read(utf8, from, length, Long.MAX_VALUE);
  }

  private static Json read(byte[] utf8, int from, int length, long mostValues) {
    try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), utf8, from, length)) {
      JsonToken first = parser.nextToken();
      if (first == null) {
        throw new JsonException("expected a JSON value, found nothing");
      }
      Json value = new JsonReader(parser, mostValues).value(first);
      requireEnd(parser);
      return value;
    } catch (JacksonException e) {
      throw failure(e);
    }
  }

  /// Reads a document that must be an object.
  ///
  /// @throws JsonException with the byte offset of the defect
  public static Json.Obj readObject(byte[] utf8) {
    return read(utf8) instanceof Json.Obj object
        ? object
        : fail("expected a JSON object at the top");
  }

  /// Reads a document that must be an object, of somebody who may send anything: a tree takes ten
  /// times the memory of its text.
  ///
  /// @param mostValues objects, arrays and what is in them, all counted
  /// @return empty where it has more; no more than these were made
  /// @throws JsonException with the byte offset of the defect
  public static Optional<Json.Obj> readObject(byte[] utf8, long mostValues) {
    try {
      return read(utf8, 0, utf8.length, mostValues) instanceof Json.Obj object
          ? Optional.of(object)
          : fail("expected a JSON object at the top");
    } catch (TooManyException e) {
      return Optional.empty();
    }
  }

  /// There are more values than the caller has room for.
  private static final class TooManyException extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  /// Reads a document that must be an object and is too large to be held as a tree: elements of
  /// some arrays of it are handed over one by one, in order, and are not in the result. What was
  /// handed over counts only when this returns.
  ///
  /// @param arrays by name of the field; a field of that name must be an array
  /// @throws JsonException with the byte offset of the defect
  public static Json.Obj readObject(byte[] utf8, Map<String, Consumer<Json>> arrays) {
    try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), utf8)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new JsonException("expected a JSON object at the top");
      }
      JsonReader reader = new JsonReader(parser, Long.MAX_VALUE);
      Map<String, Json> fields = new LinkedHashMap<>();
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String name = parser.currentName();
        Consumer<Json> elements = arrays.get(name);
        JsonToken token = parser.nextToken();
        if (elements == null) {
          fields.put(name, reader.value(token));
        } else {
          reader.elements(token, name, elements);
        }
      }
      requireEnd(parser);
      return new Json.Obj(fields);
    } catch (JacksonException e) {
      throw failure(e);
    }
  }

  private void elements(JsonToken token, String name, Consumer<Json> elements) {
    if (token != JsonToken.START_ARRAY) {
      throw new JsonException("field \"" + name + "\": expected an array");
    }
    for (JsonToken next = parser.nextToken();
        next != JsonToken.END_ARRAY;
        next = parser.nextToken()) {
      elements.accept(value(next));
    }
  }

  private static void requireEnd(JsonParser parser) {
    if (parser.nextToken() != null) {
      throw new JsonException(
          "text after the end of the JSON value at byte "
              + parser.currentTokenLocation().getByteOffset());
    }
  }

  private static JsonException failure(JacksonException e) {
    return new JsonException(
        e.getOriginalMessage()
            + (e.getLocation() == null ? "" : " at byte " + e.getLocation().getByteOffset()),
        e);
  }

  private static <T> T fail(String message) {
    throw new JsonException(message);
  }

  private Json value(JsonToken token) {
    if (--left < 0) {
      throw new TooManyException();
    }
    return switch (token) {
      case START_OBJECT -> {
        Map<String, Json> fields = new LinkedHashMap<>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
          String name = remembered(parser.currentName());
          fields.put(name, value(parser.nextToken()));
        }
        yield new Json.Obj(fields);
      }
      case START_ARRAY -> {
        List<Json> values = new ArrayList<>();
        for (JsonToken next = parser.nextToken();
            next != JsonToken.END_ARRAY;
            next = parser.nextToken()) {
          values.add(value(next));
        }
        yield new Json.Array(values);
      }
      case VALUE_STRING -> new Json.Text(parser.getString());
      case VALUE_TRUE -> Json.TRUE;
      case VALUE_FALSE -> Json.FALSE;
      case VALUE_NULL -> Json.NULL;
      case VALUE_NUMBER_INT ->
          switch (parser.getNumberType()) {
            case INT, LONG -> Json.of(parser.getLongValue());
            default -> new Json.Big(parser.getBigIntegerValue());
          };
      case VALUE_NUMBER_FLOAT -> real();
      default -> throw new JsonException("unexpected token " + token);
    };
  }

  /// The same name again is the same string: most objects of a document have the same few.
  private String remembered(String name) {
    int slot = Math.floorMod(name.hashCode(), NAMES_REMEMBERED);
    String known = names[slot];
    if (known.equals(name)) {
      return known;
    }
    names[slot] = name;
    return name;
  }

  private Json real() {
    double value = parser.getDoubleValue();
    if (!Double.isFinite(value)) {
      throw new JsonException("the number " + parser.getString() + " is beyond a double");
    }
    return new Json.Real(value);
  }
}
