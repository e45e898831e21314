package dev.keepstone.core.pickle;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The stack of values, its marks, and the memo.
final class Stack {
  private final PickleInput input;
  private final List<Value> values = new ArrayList<>();
  private int[] marks = new int[16];
  private int markCount;
  private @Nullable Value[] memo = new Value[256];
  private int memoSize;

  Stack(PickleInput input) {
    this.input = input;
  }

  void push(Value value) {
    values.add(value);
  }

  void mark() {
    if (markCount == marks.length) {
      marks = Arrays.copyOf(marks, 2 * markCount);
    }
    marks[markCount++] = values.size();
  }

  /// Values below the newest mark are out of reach, as they are in Python.
  private int floor() {
    return markCount == 0 ? 0 : marks[markCount - 1];
  }

  Value pop(long offset) {
    requireOne(offset);
    return values.removeLast();
  }

  Value top(long offset) {
    requireOne(offset);
    return values.getLast();
  }

  private void requireOne(long offset) {
    if (values.size() <= floor()) {
      throw input.broken("the opcode needs a value, and the stack has none", offset);
    }
  }

  /// Pops a value, or the mark where it is on top.
  void drop(long offset) {
    if (markCount > 0 && values.size() == floor()) {
      markCount--;
    } else {
      pop(offset);
    }
  }

  /// Everything above the newest mark, which goes too.
  List<Value> popToMark(long offset) {
    if (markCount == 0) {
      throw input.broken("the opcode needs a MARK, and there is none", offset);
    }
    List<Value> above = values.subList(marks[--markCount], values.size());
    List<Value> popped = new ArrayList<>(above);
    above.clear();
    return popped;
  }

  boolean isEmpty() {
    return values.isEmpty() && markCount == 0;
  }

  /// Where the next value goes that is remembered without a number.
  int nextMemo() {
    return memoSize;
  }

  /// @param most more numbers than this have not been given yet, so a larger one is a lie
  void remember(long index, long most, long offset) {
    if (index < 0 || index > most) {
      throw input.broken("memo index " + index + " of a pickle with fewer values", offset);
    }
    int at = (int) index;
    if (at >= memo.length) {
      memo = Arrays.copyOf(memo, Math.max(2 * memo.length, at + 1));
    }
    if (memo[at] == null) {
      memoSize++;
    }
    memo[at] = top(offset);
  }

  Value recall(long index, long offset) {
    Value value = index < 0 || index >= memo.length ? null : memo[(int) index];
    if (value == null) {
      throw input.broken("memo index " + index + " was never set", offset);
    }
    return value;
  }
}
