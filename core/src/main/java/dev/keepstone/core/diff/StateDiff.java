package dev.keepstone.core.diff;

import dev.keepstone.core.diff.DiffReport.StateChange;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Compares state trees (docs/spec/state-tree.md) by path.
///
/// Goes into dicts and sequences of one kind; anything else is a value, the same or not. The order
/// of a dict's keys does not count, but of an `OrderedDict` it does.
final class StateDiff {
  /// Words whose `v` is a list of values.
  private static final List<String> SEQUENCES = List.of("tuple", "namedtuple", "size");

  /// Words whose `v` is a list of pairs, in no order.
  private static final List<String> DICTS = List.of("dict", "ddict", "counter");

  private final List<StateChange> changes = new ArrayList<>();

  private StateDiff() {}

  /// @param a the whole tree: `state`, and what the client keeps beside it
  static List<StateChange> of(Json.Obj a, Json.Obj b) {
    StateDiff diff = new StateDiff();
    Map<String, Json> roots = new LinkedHashMap<>(b.fields());
    a.fields().forEach((root, value) -> diff.compare(root, value, roots.remove(root)));
    roots.forEach((root, value) -> diff.compare(root, null, value));
    return diff.changes;
  }

  private void compare(String path, @Nullable Json a, @Nullable Json b) {
    if (a == null || b == null) {
      if (a != b) {
        changes.add(new StateChange(path, a, b));
      }
      return;
    }
    if (a.equals(b)) {
      // Objects are compared as maps: whatever their order.
      return;
    }
    Map<String, Json> insideA = inside(a);
    Map<String, Json> insideB = inside(b);
    if (insideA == null || insideB == null || !word(a).equals(word(b))) {
      changes.add(new StateChange(path, a, b));
      return;
    }
    int before = changes.size();
    Map<String, Json> left = new LinkedHashMap<>(insideB);
    insideA.forEach((key, value) -> compare(path + key, value, left.remove(key)));
    left.forEach((key, value) -> compare(path + key, null, value));
    if (changes.size() == before && !sameButContent(a, b)) {
      changes.add(new StateChange(path, a, b));
    }
  }

  /// What a value consists of, by subscript; null where it is one value.
  private static @Nullable Map<String, Json> inside(Json json) {
    Map<String, Json> inside = new LinkedHashMap<>();
    switch (json) {
      case Json.Array(List<Json> values) -> number(values, inside);
      case Json.Obj object -> {
        if (!(object.get("~") instanceof Json.Text(String word))) {
          object.fields().forEach((key, value) -> inside.put(subscript(Json.of(key)), value));
        } else if (object.get("v") instanceof Json.Array(List<Json> values)) {
          if (SEQUENCES.contains(word)) {
            number(values, inside);
          } else if (!DICTS.contains(word) && !word.equals("odict") || !pairs(values, inside)) {
            return null;
          }
        } else {
          return null;
        }
      }
      case Json.Null _, Json.Bool _, Json.Int _, Json.Big _, Json.Real _, Json.Text _ -> {
        return null;
      }
    }
    return inside;
  }

  private static void number(List<Json> values, Map<String, Json> inside) {
    for (int i = 0; i < values.size(); i++) {
      inside.put("[" + i + "]", values.get(i));
    }
  }

  /// @return whether they are pairs with different keys
  private static boolean pairs(List<Json> values, Map<String, Json> inside) {
    for (Json value : values) {
      if (!(value instanceof Json.Array(List<Json> pair))
          || pair.size() != 2
          || inside.put(subscript(pair.getFirst()), pair.getLast()) != null) {
        return false;
      }
    }
    return true;
  }

  private static String subscript(Json key) {
    return "[" + JsonWriter.compact(key) + "]";
  }

  /// Type, attributes and the order that counts: what is left when the content is the same.
  private static boolean sameButContent(Json a, Json b) {
    return a instanceof Json.Obj one
        && b instanceof Json.Obj other
        && rest(one).equals(rest(other));
  }

  private static List<Object> rest(Json.Obj object) {
    Map<String, Json> rest = new LinkedHashMap<>(object.fields());
    if (!word(object).isEmpty() && rest.remove("v") instanceof Json.Array(List<Json> values)) {
      boolean ordered = word(object).equals("odict");
      return List.of(rest, ordered ? keys(values) : List.of());
    }
    return List.of();
  }

  private static List<Json> keys(List<Json> pairs) {
    return pairs.stream()
        .map(pair -> pair instanceof Json.Array(List<Json> two) ? two.getFirst() : pair)
        .toList();
  }

  private static String word(Json json) {
    return switch (json) {
      case Json.Array _ -> "list";
      case Json.Obj object -> object.get("~") instanceof Json.Text(String word) ? word : "";
      case Json.Null _, Json.Bool _, Json.Int _, Json.Big _, Json.Real _, Json.Text _ -> "value";
    };
  }
}
