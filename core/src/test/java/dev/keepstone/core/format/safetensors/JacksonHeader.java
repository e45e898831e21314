package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import java.io.Reader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.json.JsonFactory;

/// The oracle of [HeaderParser]: the same rules over the tokens of a general JSON library.
final class JacksonHeader {
  private static final String METADATA = "__metadata__";
  private static final Map<String, Dtype> DTYPES =
      Arrays.stream(Dtype.values())
          .filter(Dtype::inSafetensors)
          .collect(Collectors.toUnmodifiableMap(Dtype::name, Function.identity()));

  private static final TokenStreamFactory FACTORY =
      JsonFactory.builder()
          // The table of known names only costs here, where every name is new, and its hash can be
          // attacked.
          .disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(HeaderParser.MAX_DEPTH)
                  .maxStringLength(SafetensorsHeader.MAX_JSON_BYTES)
                  .maxNameLength(SafetensorsHeader.MAX_JSON_BYTES)
                  .build())
          .build();

  private final JsonParser parser;
  private final List<SafetensorsHeader.Entry> entries = new ArrayList<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();
  private @Nullable String inTensor;

  JacksonHeader(Reader text) {
    parser = FACTORY.createParser(ObjectReadContext.empty(), text);
  }

  /// Something in the text is not as the format wants it.
  static final class Defect extends RuntimeException {
    private static final long serialVersionUID = 1;

    Defect(String what) {
      super(what);
    }
  }

  List<SafetensorsHeader.Entry> entries() {
    return entries;
  }

  Map<String, String> metadata() {
    return metadata;
  }

  /// The tensor whose entry was being read when parsing stopped.
  @Nullable String inTensor() {
    return inTensor;
  }

  /// Where the token begins that parsing stopped at, in characters.
  long tokenOffset() {
    return Math.max(0, parser.currentTokenLocation().getCharOffset());
  }

  /// Reads all of the text.
  ///
  /// @throws Defect naming what is wrong
  /// @throws tools.jackson.core.JacksonException where the text is no JSON, or the reader fails
  void parse() {
    expect(parser.nextToken(), JsonToken.START_OBJECT, "an object");
    boolean metadataSeen = false;
    for (String name = nextName(); name != null; name = nextName()) {
      if (!name.equals(METADATA)) {
        inTensor = name;
        entries.add(entry(name));
        inTensor = null;
      } else if (metadataSeen) {
        throw new Defect("\"" + METADATA + "\" is given twice");
      } else {
        metadataSeen = true;
        readMetadata();
      }
    }
    if (parser.nextToken() != null) {
      throw new Defect("text after the end of the JSON object");
    }
  }

  private void readMetadata() {
    JsonToken token = parser.nextToken();
    if (token == JsonToken.VALUE_NULL) {
      return;
    }
    expect(token, JsonToken.START_OBJECT, "an object of strings for \"" + METADATA + "\"");
    for (String key = nextName(); key != null; key = nextName()) {
      expect(
          parser.nextToken(), JsonToken.VALUE_STRING, "a string for metadata " + Quoted.text(key));
      if (metadata.put(key, checked(parser.getString())) != null) {
        throw new Defect("metadata " + Quoted.text(key) + " is given twice");
      }
    }
  }

  private SafetensorsHeader.Entry entry(String name) {
    Fields fields = new Fields();
    JsonToken token = parser.nextToken();
    if (token == JsonToken.START_ARRAY) {
      // The reference's JSON library also takes the fields of a tensor by position.
      parser.nextToken();
      fields.readDtype();
      parser.nextToken();
      fields.readShape();
      parser.nextToken();
      fields.readOffsets();
      expect(parser.nextToken(), JsonToken.END_ARRAY, "three values");
    } else {
      expect(token, JsonToken.START_OBJECT, "an object");
      for (String field = parser.nextName(); field != null; field = parser.nextName()) {
        parser.nextToken();
        switch (field) {
          case "dtype" -> fields.readDtype();
          case "shape" -> fields.readShape();
          case "data_offsets" -> fields.readOffsets();
          default -> parser.skipChildren();
        }
      }
    }
    return fields.entry(name);
  }

  /// The next name of the current object, or null at its end.
  private @Nullable String nextName() {
    String name = parser.nextName();
    return name == null ? null : checked(name);
  }

  private void expect(@Nullable JsonToken found, JsonToken expected, String words) {
    if (found != expected) {
      throw new Defect("expected " + words + ", found " + found(found));
    }
  }

  private String found(@Nullable JsonToken token) {
    return token == null
        ? "the end"
        : switch (token) {
          case START_OBJECT -> "an object";
          case START_ARRAY -> "an array";
          case END_ARRAY -> "the end of the array";
          case END_OBJECT -> "the end of the object";
          case VALUE_STRING -> "the string " + Quoted.text(parser.getString());
          case PROPERTY_NAME -> "the name " + Quoted.text(parser.currentName());
          case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> "the number " + number();
          case VALUE_TRUE, VALUE_FALSE, VALUE_NULL -> parser.getString();
          case NOT_AVAILABLE, VALUE_EMBEDDED_OBJECT -> "nothing";
        };
  }

  private String number() {
    String text = parser.getString();
    return text.length() > 40 ? text.substring(0, 40) + "…" : text;
  }

  /// A whole number from 0 to 2^63 − 1, as the current token. Digits alone: `-0`, `2.0` and `2e0`
  /// are floats to the reference.
  private long natural(String what) {
    JsonToken token = parser.currentToken();
    long value = -1;
    if (token == JsonToken.VALUE_NUMBER_INT) {
      value =
          switch (parser.getNumberType()) {
            case INT, LONG -> parser.getLongValue();
            default -> throw new Defect(what + " " + number() + " is beyond 2^63 - 1");
          };
    }
    if (value < 0 || value == 0 && parser.getString().startsWith("-")) {
      throw new Defect("expected " + what + " of at least 0, found " + found(token));
    }
    return value;
  }

  private static String checked(String text) {
    if (HeaderText.hasLoneSurrogate(text)) {
      throw new Defect("a lone surrogate in " + Quoted.text(text));
    }
    return text;
  }

  /// The fields of one entry, in whatever order they come.
  private final class Fields {
    private @Nullable Dtype dtype;
    private @Nullable Shape shape;
    private long begin = -1;
    private long end = -1;

    void readDtype() {
      once(dtype == null, "dtype");
      expect(parser.currentToken(), JsonToken.VALUE_STRING, "the name of a dtype");
      dtype = DTYPES.get(parser.getString());
      if (dtype == null) {
        throw new Defect("unknown dtype " + Quoted.text(parser.getString()));
      }
    }

    void readShape() {
      once(shape == null, "shape");
      expect(parser.currentToken(), JsonToken.START_ARRAY, "an array for \"shape\"");
      List<Long> extents = new ArrayList<>(4);
      while (parser.nextToken() != JsonToken.END_ARRAY) {
        if (extents.size() == Shape.MAX_RANK) {
          throw new Defect("more than " + Shape.MAX_RANK + " dimensions");
        }
        extents.add(natural("an extent"));
      }
      try {
        shape = new Shape(extents);
      } catch (IllegalArgumentException e) {
        throw new Defect(String.valueOf(e.getMessage()));
      }
    }

    void readOffsets() {
      once(begin < 0, "data_offsets");
      String two = "an array of two for \"data_offsets\"";
      expect(parser.currentToken(), JsonToken.START_ARRAY, two);
      parser.nextToken();
      begin = natural("an offset");
      parser.nextToken();
      end = natural("an offset");
      expect(parser.nextToken(), JsonToken.END_ARRAY, two);
    }

    private void once(boolean first, String field) {
      if (!first) {
        throw new Defect("\"" + field + "\" is given twice");
      }
    }

    SafetensorsHeader.Entry entry(String name) {
      if (dtype == null || shape == null || begin < 0) {
        throw new Defect(
            "\""
                + (dtype == null ? "dtype" : shape == null ? "shape" : "data_offsets")
                + "\" is missing");
      }
      long bytes;
      try {
        bytes = shape.byteLength(dtype);
      } catch (IllegalArgumentException e) {
        throw new Defect(String.valueOf(e.getMessage()));
      }
      if (end < begin || end - begin != bytes) {
        throw new Defect(
            "expected %d bytes for %s%s, found data_offsets [%d,%d]"
                .formatted(bytes, dtype, shape, begin, end));
      }
      return new SafetensorsHeader.Entry(name, dtype, shape, begin, end);
    }
  }
}
