package dev.keepstone.core.state;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.state.StateNode.Entry;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// One tree on its way from JSON. Every field of every word is looked at: what this would drop, a
/// copy of the checkpoint would lose.
final class StateReader {
  /// As long as Python reads an integer of text without being told to; the time to do so grows with
  /// the square.
  private static final int MAX_DIGITS = 4300;

  private static final Pattern INTEGER = Pattern.compile("-?[1-9][0-9]*");
  private static final Pattern NAN = Pattern.compile("nan:[0-9a-f]{16}");

  private final StateWalk walk = new StateWalk();

  StateNode read(Json json) {
    walk.enter();
    return switch (json) {
      case Json.Null() -> new StateNode.Null();
      case Json.Bool(boolean value) -> new StateNode.Bool(value);
      case Json.Int(long value) -> integer(value);
      case Json.Big(BigInteger value) -> throw tooLong(value);
      case Json.Real(double value) -> new StateNode.Real(value);
      case Json.Text(String value) -> text(value);
      case Json.Array(List<Json> values) ->
          new StateNode.Sequence(StateNode.Sequence.Form.LIST, all(values));
      case Json.Obj object -> object(object);
    };
  }

  private StateNode integer(long value) {
    if (value > StateWriter.SAFE_INTEGER || value < -StateWriter.SAFE_INTEGER) {
      throw tooLong(BigInteger.valueOf(value));
    }
    return StateNode.Int.of(value);
  }

  private StateTreeException tooLong(BigInteger value) {
    return walk.wrong("expected an integer of this size as {\"~\":\"int\"}, found " + value);
  }

  private StateNode.Text text(String value) {
    if (StateNode.hasLoneSurrogate(value)) {
      throw walk.wrong("expected a string with lone surrogates as {\"~\":\"str\"}");
    }
    return new StateNode.Text(value);
  }

  private StateNode object(Json.Obj object) {
    if (object.get("~") == null) {
      List<Entry> entries = new ArrayList<>(object.fields().size());
      object
          .fields()
          .forEach((name, value) -> {
            StateNode key = text(name);
            entries.add(new Entry(key, below(new StateWalk.Key(key), value)));
          });
      return StateNode.Mapping.dict(entries);
    }
    if (!object.fields().keySet().iterator().next().equals("~")) {
      throw walk.wrong("expected \"~\" as the first key");
    }
    Fields fields = new Fields(object);
    StateNode node = word(fields.text("~"), fields);
    fields.requireAllSeen();
    return node;
  }

  private StateNode word(String word, Fields fields) {
    return switch (word) {
      case "int" -> new StateNode.Int(bigInteger(fields.text("v")));
      case "float" -> new StateNode.Real(special(fields.text("v")));
      case "complex" -> complex(fields.array("v"));
      case "str" -> new StateNode.RawText(rawText(fields.blob("v")));
      case "bytes" -> new StateNode.Bytes(fields.blob("v"), false);
      case "bytearray" -> new StateNode.Bytes(fields.blob("v"), true);
      case "tuple" -> sequence(StateNode.Sequence.Form.TUPLE, fields);
      case "set" -> sequence(StateNode.Sequence.Form.SET, fields);
      case "frozenset" -> sequence(StateNode.Sequence.Form.FROZENSET, fields);
      case "dict" -> mapping(StateNode.Mapping.Kind.DICT, fields, Map.of(), null);
      case "odict" -> mapping(StateNode.Mapping.Kind.ODICT, fields, fields.attributes(), null);
      case "counter" -> mapping(StateNode.Mapping.Kind.COUNTER, fields, fields.attributes(), null);
      case "ddict" ->
          mapping(StateNode.Mapping.Kind.DDICT, fields, Map.of(), fields.text("factory"));
      case "enum" -> new StateNode.EnumMember(fields.text("type"), fields.text("name"));
      case "namedtuple" -> namedTuple(fields);
      case "path" -> new StateNode.FilePath(fields.text("v"));
      case "dtype" ->
          new StateNode.DtypeName(fields.oneOf("of", "torch", "numpy"), fields.text("v"));
      case "size" -> new StateNode.Size(extents(fields.array("v")));
      case "device" -> new StateNode.Device(fields.text("v"));
      case "scalar" -> new StateNode.Scalar(fields.text("dtype"), fields.blob("v"));
      case "generator" ->
          new StateNode.Generator(
              fields.oneOf("of", "torch", "numpy", "python"), below(".state", fields.any("v")));
      case "tensor" -> tensor(fields);
      case "opaque" -> new StateNode.Opaque(fields.text("type"), below(".state", fields.any("v")));
      case "hole" -> new StateNode.Hole(index(fields.any("v")));
      default -> throw walk.wrong("unknown word \"" + word + "\"; a newer Keepstone may know it");
    };
  }

  private StateNode below(Object step, Json json) {
    walk.down(step);
    StateNode node = read(json);
    walk.up();
    return node;
  }

  private List<StateNode> all(List<Json> values) {
    List<StateNode> all = new ArrayList<>(values.size());
    for (int i = 0; i < values.size(); i++) {
      all.add(below(i, values.get(i)));
    }
    return all;
  }

  private BigInteger bigInteger(String text) {
    if (text.length() > MAX_DIGITS || !INTEGER.matcher(text).matches()) {
      throw walk.wrong("expected an integer of at most " + MAX_DIGITS + " digits");
    }
    return new BigInteger(text);
  }

  private double special(String text) {
    return switch (text) {
      case "nan" -> Double.longBitsToDouble(StateWriter.NAN);
      case "inf" -> Double.POSITIVE_INFINITY;
      case "-inf" -> Double.NEGATIVE_INFINITY;
      default -> {
        double value =
            NAN.matcher(text).matches()
                ? Double.longBitsToDouble(Long.parseUnsignedLong(text, 4, 20, 16))
                : 0;
        if (!Double.isNaN(value)) {
          throw walk.wrong(
              "expected nan, inf, -inf or nan:<16 hex digits>, found \"" + text + "\"");
        }
        yield value;
      }
    };
  }

  private StateNode complex(List<Json> parts) {
    if (parts.size() == 2
        && below(0, parts.get(0)) instanceof StateNode.Real(double real)
        && below(1, parts.get(1)) instanceof StateNode.Real(double imaginary)) {
      return new StateNode.Complex(real, imaginary);
    }
    throw walk.wrong("expected two floats");
  }

  private Blob rawText(Blob utf8) {
    if (!Surrogates.isUtf8(utf8.bytes())) {
      throw walk.wrong("expected UTF-8 with surrogates passed through");
    }
    return utf8;
  }

  private StateNode sequence(StateNode.Sequence.Form form, Fields fields) {
    List<StateNode> values = all(fields.array("v"));
    if (form == StateNode.Sequence.Form.SET || form == StateNode.Sequence.Form.FROZENSET) {
      requireDistinct(values);
    }
    return new StateNode.Sequence(form, values);
  }

  private StateNode mapping(
      StateNode.Mapping.Kind kind,
      Fields fields,
      Map<String, StateNode> attributes,
      @Nullable String factory) {
    List<Entry> entries = new ArrayList<>();
    for (Json pair : fields.array("v")) {
      if (!(pair instanceof Json.Array(List<Json> two)) || two.size() != 2) {
        throw walk.wrong("expected pairs of key and value");
      }
      StateNode key = below("<key>", two.get(0));
      entries.add(new Entry(key, below(new StateWalk.Key(key), two.get(1))));
    }
    requireDistinct(entries.stream().map(Entry::key).toList());
    return new StateNode.Mapping(kind, entries, attributes, factory);
  }

  private void requireDistinct(List<StateNode> keys) {
    Set<Object> seen = new HashSet<>();
    for (StateNode key : keys) {
      Object form = PythonEquality.form(key);
      if (form == null) {
        throw walk.wrong(
            "expected keys and members that Python can hash, found a "
                + key.getClass().getSimpleName().toLowerCase(Locale.ROOT));
      }
      if (!seen.add(form)) {
        throw walk.wrong("the key " + new StateWalk.Key(key) + " stands twice");
      }
    }
  }

  private StateNode namedTuple(Fields fields) {
    String type = fields.text("type");
    List<String> names = new ArrayList<>();
    for (Json name : fields.array("fields")) {
      if (!(name instanceof Json.Text(String text))) {
        throw walk.wrong("field \"fields\": expected strings");
      }
      names.add(text);
    }
    List<StateNode> values = all(fields.array("v"));
    if (values.size() != names.size()) {
      throw walk.wrong(
          "expected as many values as fields, found " + values.size() + " and " + names.size());
    }
    return new StateNode.NamedTuple(type, names, values);
  }

  private List<Long> extents(List<Json> values) {
    List<Long> extents = new ArrayList<>();
    for (Json value : values) {
      if (!(value instanceof Json.Int(long extent))) {
        throw walk.wrong("expected integers");
      }
      extents.add(extent);
    }
    return extents;
  }

  private int index(Json json) {
    if (json instanceof Json.Int(long index) && index >= 0 && index <= StateWalk.MAX_NODES) {
      return (int) index;
    }
    throw walk.wrong("expected the index of a value");
  }

  private StateNode tensor(Fields fields) {
    StateNode.TensorLeaf.Like like = StateNode.TensorLeaf.Like.TORCH;
    if (fields.has("like")) {
      like =
          StateNode.TensorLeaf.Like.valueOf(
              fields
                  .oneOf("like", "torch", "numpy", "bytes", "bytearray")
                  .toUpperCase(Locale.ROOT));
    }
    return new StateNode.TensorLeaf(
        fields.text("component"),
        fields.text("name"),
        like,
        fields.has("parameter") && fields.bool("parameter"));
  }

  /// The fields of one word, and which of them were asked for.
  private final class Fields {
    private final Json.Obj object;
    private final Set<String> seen = new HashSet<>();

    Fields(Json.Obj object) {
      this.object = object;
    }

    boolean has(String name) {
      return object.get(name) != null;
    }

    Json any(String name) {
      seen.add(name);
      Json value = object.get(name);
      if (value == null) {
        throw walk.wrong("field \"" + name + "\" is missing");
      }
      return value;
    }

    private <T> T as(String name, String expected, Function<Json, @Nullable T> form) {
      T value = form.apply(any(name));
      if (value == null) {
        throw walk.wrong("field \"" + name + "\": expected " + expected);
      }
      return value;
    }

    String text(String name) {
      return as(name, "a string", json -> json instanceof Json.Text(String value) ? value : null);
    }

    boolean bool(String name) {
      return as(
          name, "true or false", json -> json instanceof Json.Bool(boolean value) ? value : null);
    }

    List<Json> array(String name) {
      return as(
          name, "an array", json -> json instanceof Json.Array(List<Json> values) ? values : null);
    }

    Blob blob(String name) {
      try {
        return new Blob(text(name));
      } catch (StateTreeException e) {
        throw e;
      } catch (IllegalArgumentException e) {
        throw walk.wrong("field \"" + name + "\": expected base64");
      }
    }

    String oneOf(String name, String... words) {
      String word = text(name);
      if (!Arrays.asList(words).contains(word)) {
        throw walk.wrong(
            "field \"%s\": expected %s, found \"%s\""
                .formatted(name, String.join(" or ", words), word));
      }
      return word;
    }

    Map<String, StateNode> attributes() {
      Map<String, StateNode> attributes = new LinkedHashMap<>();
      if (has("attrs")) {
        Json.Obj found = as("attrs", "an object", json -> json instanceof Json.Obj o ? o : null);
        found.fields().forEach((name, value) -> attributes.put(name, below("." + name, value)));
      }
      return attributes;
    }

    void requireAllSeen() {
      for (String name : object.fields().keySet()) {
        if (!seen.contains(name)) {
          throw walk.wrong("unknown field \"" + name + "\"; a newer Keepstone may know it");
        }
      }
    }
  }
}
