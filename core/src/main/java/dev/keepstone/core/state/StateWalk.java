package dev.keepstone.core.state;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.Locale;

/// Where a walk through a state tree is, for messages, and the limits that every walk keeps.
final class StateWalk {
  /// Levels of a tree.
  static final int MAX_LEVELS = 256;

  /// Values of a tree.
  static final int MAX_NODES = 64 << 20;

  /// Strings and numbers of the steps from the root; made into text only when something is wrong.
  private final Deque<Object> steps = new ArrayDeque<>();

  private int nodes;

  /// Counts a value that stands here.
  void enter() {
    if (++nodes > MAX_NODES) {
      throw wrong("expected at most " + MAX_NODES + " values in a state tree");
    }
    if (steps.size() >= MAX_LEVELS) {
      throw wrong("expected at most " + MAX_LEVELS + " levels");
    }
  }

  /// @param step an `Integer` for a position, a [Key] for a key, else text that is appended as it
  ///   is
  void down(Object step) {
    steps.addLast(step);
  }

  void up() {
    steps.removeLast();
  }

  /// A key, which Python's way of writing it is made of only when it is asked for.
  record Key(StateNode key) {
    @Override
    public String toString() {
      return switch (key) {
        case StateNode.Text(String text) -> JsonWriter.compact(Json.of(text));
        case StateNode.Int(BigInteger value) -> value.toString();
        case StateNode.Bool(boolean value) -> value ? "True" : "False";
        case StateNode.Null() -> "None";
        case StateNode.Real(double value) -> String.valueOf(value);
        case StateNode.EnumMember(String type, String name) -> type + "." + name;
        default -> "<" + key.getClass().getSimpleName().toLowerCase(Locale.ROOT) + ">";
      };
    }
  }

  StateTreeException wrong(String what) {
    return new StateTreeException(path() + ": " + what);
  }

  private String path() {
    StringBuilder path = new StringBuilder("state");
    for (Iterator<Object> it = steps.iterator(); it.hasNext(); ) {
      switch (it.next()) {
        case Integer index -> path.append('[').append(index).append(']');
        case Key key -> path.append('[').append(key).append(']');
        case Object text -> path.append(text);
      }
    }
    return path.toString();
  }
}
