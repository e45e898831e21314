package dev.keepstone.core.state;

import dev.keepstone.core.json.Json;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Reads, writes and fills state trees. Reading what was written gives an equal tree, and writing
/// what was read gives equal JSON where a writer wrote it.
///
/// Paths in messages begin at `state`, the root of the tree at hand.
public final class StateTree {
  private StateTree() {}

  /// @throws StateTreeException with the path of what is no state tree: an unknown word, a field
  ///   that is missing, wrong or too many, keys that Python takes for one, more than 256 levels
  public static StateNode read(Json json) {
    return new StateReader().read(json);
  }

  /// @throws StateTreeException where the tree has more than 256 levels
  public static Json write(StateNode node) {
    return new StateWriter().write(node);
  }

  /// The tree in which the value with its index stands for each hole.
  ///
  /// @throws StateTreeException where a hole has no value, or a value no hole
  public static StateNode fill(StateNode template, List<StateNode> values) {
    return read(
        fillJson(write(template), Json.array(values.stream().map(StateTree::write).toList())));
  }

  /// [#fill] on the JSON of both, without looking at anything but holes: what the agent does for
  /// each save.
  ///
  /// @throws StateTreeException where a hole has no value, or a value no hole
  public static Json fillJson(Json template, Json.Array values) {
    BitSet used = new BitSet();
    Json filled = fill(template, values.values(), used);
    int unused = used.nextClearBit(0);
    if (unused < values.values().size()) {
      throw new StateTreeException(
          "state: value %d of %d has no hole".formatted(unused, values.values().size()));
    }
    return filled;
  }

  private static Json fill(Json json, List<Json> values, BitSet used) {
    return switch (json) {
      case Json.Array(List<Json> elements) -> {
        List<Json> filled = new ArrayList<>(elements.size());
        for (Json element : elements) {
          filled.add(fill(element, values, used));
        }
        yield Json.array(filled);
      }
      case Json.Obj object -> {
        if (object.get("~") instanceof Json.Text(String word) && word.equals("hole")) {
          if (!(object.get("v") instanceof Json.Int(long index))
              || index < 0
              || index >= values.size()) {
            throw new StateTreeException(
                "state: expected a hole of 0 to %d, found %s"
                    .formatted(values.size() - 1, object.get("v")));
          }
          used.set((int) index);
          yield values.get((int) index);
        }
        Map<String, Json> filled = new LinkedHashMap<>();
        object.fields().forEach((name, value) -> filled.put(name, fill(value, values, used)));
        yield new Json.Obj(filled);
      }
      case Json.Null _, Json.Bool _, Json.Int _, Json.Big _, Json.Real _, Json.Text _ -> json;
    };
  }
}
