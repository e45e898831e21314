package dev.keepstone.core.pickle;

import dev.keepstone.core.pickle.Value.Atom;
import dev.keepstone.core.pickle.Value.Dict;
import dev.keepstone.core.pickle.Value.Made;
import dev.keepstone.core.pickle.Value.Row;
import dev.keepstone.core.state.StateNode;
import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// Where in the state the walk is, and what a tensor there is called (docs/spec/state-tree.md).
final class Place {
  private static final String MODEL = "model";
  private static final int MAX_COMPONENT = 64;

  private final Deque<String> steps = new ArrayDeque<>();
  private final Set<String> components = new HashSet<>();
  private final Set<List<String>> names = new HashSet<>();
  private final boolean byKey;
  private String component = MODEL;

  /// @param root of the state
  Place(Value root) {
    byKey = !entries(root).isEmpty() && !isStateDict(root);
  }

  /// Whether most of what lies in a dict are tensors: then it is the weights of one model, and what
  /// is not one of them is some extra of theirs.
  private static boolean isStateDict(Value root) {
    int tensors = 0;
    int others = 0;
    List<Value> entries = entries(root);
    for (int i = 1; i < entries.size(); i += 2) {
      switch (entries.get(i)) {
        case Made made when Rebuild.isTensorLike(made) -> tensors++;
        case Dict _, Row _, Made _ -> others++;
        case Atom _, Value.Raw _, Value.Global _, Value.Persistent _ -> {}
      }
    }
    return tensors > 0 && tensors >= others;
  }

  private static List<Value> entries(Value root) {
    return switch (root) {
      case Dict(List<Value> entries) -> entries;
      case Made made when made.function.qualified().equals("collections.OrderedDict") ->
          made.entries;
      case Atom _, Made _, Value.Raw _, Row _, Value.Global _, Value.Persistent _ -> List.of();
    };
  }

  /// Goes to what lies under a key or an attribute.
  void down(StateNode key, int position) {
    String step =
        switch (key) {
          case StateNode.Text(String text) -> text;
          case StateNode.Int(BigInteger value) -> value.toString();
          default -> "key" + position;
        };
    down(step);
  }

  void down(String step) {
    if (steps.isEmpty() && byKey) {
      component = unused(safe(step));
    }
    steps.addLast(step);
  }

  void up() {
    steps.removeLast();
  }

  private static String safe(String key) {
    String safe = key.replaceAll("[^A-Za-z0-9_.-]", "_");
    String cut = safe.substring(0, Math.min(MAX_COMPONENT, safe.length()));
    // A file's name begins with it, and that with no mark.
    boolean begins = !cut.isEmpty() && Character.isLetterOrDigit(cut.charAt(0));
    return begins ? cut : "c" + cut;
  }

  private String unused(String wanted) {
    String name = wanted;
    for (int k = 2; !components.add(name); k++) {
      name = wanted + "_" + k;
    }
    return name;
  }

  String component() {
    return component;
  }

  /// The name of a tensor that stands here.
  String name() {
    List<String> inside = List.copyOf(steps);
    String wanted = String.join(".", byKey ? inside.subList(1, inside.size()) : inside);
    if (wanted.isEmpty()) {
      wanted = component;
    }
    String name = wanted;
    for (int k = 2; !names.add(List.of(component, name)); k++) {
      name = wanted + "_" + k;
    }
    return name;
  }
}
