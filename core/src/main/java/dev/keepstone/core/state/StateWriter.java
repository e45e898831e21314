package dev.keepstone.core.state;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.state.StateNode.Entry;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// One tree on its way to JSON.
final class StateWriter {
  static final long SAFE_INTEGER = (1L << 53) - 1;
  static final long NAN = 0x7ff8000000000000L;
  private static final BigInteger SAFE = BigInteger.valueOf(SAFE_INTEGER);

  private final StateWalk walk = new StateWalk();

  Json write(StateNode node) {
    walk.enter();
    return switch (node) {
      case StateNode.Null() -> Json.NULL;
      case StateNode.Bool(boolean value) -> Json.of(value);
      case StateNode.Int(BigInteger value) ->
          value.abs().compareTo(SAFE) <= 0
              ? Json.of(value.longValue())
              : word("int").put("v", value.toString()).build();
      case StateNode.Real(double value) -> real(value);
      case StateNode.Complex(double real, double imaginary) ->
          word("complex").put("v", Json.array(List.of(real(real), real(imaginary)))).build();
      case StateNode.Text(String value) -> Json.of(value);
      case StateNode.RawText(Blob utf8) -> word("str").put("v", utf8.base64()).build();
      case StateNode.Bytes(Blob bytes, boolean mutable) ->
          word(mutable ? "bytearray" : "bytes").put("v", bytes.base64()).build();
      case StateNode.Sequence(var form, var values) ->
          form == StateNode.Sequence.Form.LIST
              ? Json.array(all(values))
              : word(lower(form)).put("v", Json.array(all(values))).build();
      case StateNode.Mapping mapping -> mapping(mapping);
      case StateNode.EnumMember(String type, String name) ->
          word("enum").put("type", type).put("name", name).build();
      case StateNode.NamedTuple(String type, var fields, var values) ->
          word("namedtuple")
              .put("type", type)
              .put("fields", Json.array(fields.stream().map(Json::of).toList()))
              .put("v", Json.array(all(values)))
              .build();
      case StateNode.FilePath(String value) -> word("path").put("v", value).build();
      case StateNode.DtypeName(String of, String value) ->
          word("dtype").put("of", of).put("v", value).build();
      case StateNode.Size(var extents) -> word("size").put("v", Json.integers(extents)).build();
      case StateNode.Device(String value) -> word("device").put("v", value).build();
      case StateNode.Scalar(String dtype, Blob bytes) ->
          word("scalar").put("dtype", dtype).put("v", bytes.base64()).build();
      case StateNode.Generator(String of, StateNode state) ->
          word("generator").put("of", of).put("v", below(".state", state)).build();
      case StateNode.TensorLeaf leaf -> tensor(leaf);
      case StateNode.Opaque(String type, StateNode state) ->
          word("opaque").put("type", type).put("v", below(".state", state)).build();
      case StateNode.Hole(int index) -> word("hole").put("v", index).build();
    };
  }

  private static Json.Builder word(String word) {
    return Json.object().put("~", word);
  }

  static String lower(Enum<?> word) {
    return word.name().toLowerCase(Locale.ROOT);
  }

  private Json below(Object step, StateNode node) {
    walk.down(step);
    Json json = write(node);
    walk.up();
    return json;
  }

  private List<Json> all(List<StateNode> nodes) {
    List<Json> all = new ArrayList<>(nodes.size());
    for (int i = 0; i < nodes.size(); i++) {
      all.add(below(i, nodes.get(i)));
    }
    return all;
  }

  private static Json real(double value) {
    if (Double.isFinite(value)) {
      return Json.of(value);
    }
    return word("float").put("v", special(value)).build();
  }

  private static String special(double value) {
    if (Double.isInfinite(value)) {
      return value > 0 ? "inf" : "-inf";
    }
    long bits = Double.doubleToRawLongBits(value);
    return bits == NAN ? "nan" : "nan:" + HexFormat.of().toHexDigits(bits);
  }

  private Json mapping(StateNode.Mapping mapping) {
    if (mapping.kind() == StateNode.Mapping.Kind.DICT && plain(mapping.entries())) {
      Map<String, Json> fields = new LinkedHashMap<>();
      for (Entry entry : mapping.entries()) {
        String key = ((StateNode.Text) entry.key()).value();
        if (fields.put(key, below(new StateWalk.Key(entry.key()), entry.value())) != null) {
          throw walk.wrong("the key \"" + key + "\" stands twice");
        }
      }
      return new Json.Obj(fields);
    }
    Json.Builder json = word(lower(mapping.kind()));
    if (mapping.kind() == StateNode.Mapping.Kind.DDICT) {
      json.put("factory", mapping.factory());
    }
    List<Json> pairs = new ArrayList<>();
    for (Entry entry : mapping.entries()) {
      Object step = new StateWalk.Key(entry.key());
      pairs.add(Json.array(List.of(below(step, entry.key()), below(step, entry.value()))));
    }
    json.put("v", Json.array(pairs));
    if (!mapping.attributes().isEmpty()) {
      Map<String, Json> attributes = new LinkedHashMap<>();
      mapping.attributes().forEach((name, value) -> attributes.put(name, below("." + name, value)));
      json.put("attrs", new Json.Obj(attributes));
    }
    return json.build();
  }

  private static boolean plain(List<Entry> entries) {
    return entries.stream()
        .allMatch(entry -> entry.key() instanceof StateNode.Text(String key) && !key.equals("~"));
  }

  private static Json tensor(StateNode.TensorLeaf leaf) {
    Json.Builder json = word("tensor").put("component", leaf.component()).put("name", leaf.name());
    if (leaf.like() != StateNode.TensorLeaf.Like.TORCH) {
      json.put("like", lower(leaf.like()));
    }
    if (leaf.parameter()) {
      json.put("parameter", true);
    }
    return json.build();
  }
}
