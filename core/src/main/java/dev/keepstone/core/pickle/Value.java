package dev.keepstone.core.pickle;

import dev.keepstone.core.state.StateNode;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What an opcode leaves on the stack. Nothing in it can be called; values may hold each other in
/// cycles, so nothing here is compared or printed as a whole.
sealed interface Value {
  /// None, a truth value, a number or a string.
  record Atom(StateNode node) implements Value {}

  /// Bytes; a byte array where mutable.
  record Raw(byte[] bytes, boolean mutable) implements Value {}

  /// Values in a row. A list or set grows while the pickle is read.
  record Row(StateNode.Sequence.Form form, List<Value> values) implements Value {}

  /// A dict: keys and values in turn.
  record Dict(List<Value> entries) implements Value {}

  /// A name of Python's world, and where the pickle says it.
  record Global(String module, String name, long offset) implements Value {
    String qualified() {
      return module + "." + name;
    }
  }

  /// What Python would have made by calling something, with what was done to it since.
  final class Made implements Value {
    final Global function;
    final List<Value> args;
    final long offset;

    /// Keyword arguments, of the opcode that has them.
    @Nullable Value keywords;

    @Nullable Value state;
    List<Value> items = List.of();
    List<Value> entries = List.of();

    Made(Global function, List<Value> args, long offset) {
      this.function = function;
      this.args = args;
      this.offset = offset;
    }

    List<Value> growItems() {
      if (items.isEmpty()) {
        items = new ArrayList<>();
      }
      return items;
    }

    List<Value> growEntries() {
      if (entries.isEmpty()) {
        entries = new ArrayList<>();
      }
      return entries;
    }
  }

  /// A reference to what lies outside of the pickle.
  record Persistent(Value id, long offset) implements Value {}
}
