package dev.keepstone.store.run;

import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.reference.CheckpointId;
import java.util.HashMap;
import java.util.Map;

/// The chain of starts and their parents that ends in one start: all of that start's ids, then of
/// its parent's start the ids up to the parent, and so on (docs/spec/store.md, section 4).
///
/// @param highest per start on the line, the highest step on it
public record Line(Map<Integer, Long> highest) {
  /// Of no start at all.
  static final Line EMPTY = new Line(Map.of());

  public Line {
    highest = Map.copyOf(highest);
  }

  /// The line that ends in a start.
  ///
  /// @param decided the decision of every decided start
  static Line endingIn(int start, Map<Integer, Parent> decided) {
    return upTo(new CheckpointId(start, CheckpointId.MAX_STEP), decided);
  }

  /// The line that ends in a checkpoint.
  static Line upTo(CheckpointId last, Map<Integer, Parent> decided) {
    Map<Integer, Long> highest = new HashMap<>();
    highest.put(last.start(), last.step());
    int at = last.start();
    // A parent is always of an earlier start (the decision's codec sees to it), so this ends.
    while (decided.get(at) instanceof Parent.Of(CheckpointId parent)) {
      highest.put(parent.start(), parent.step());
      at = parent.start();
    }
    return new Line(highest);
  }

  /// Whether an id is on it, whether or not there is such a checkpoint.
  public boolean has(CheckpointId id) {
    Long step = highest.get(id.start());
    return step != null && id.step() <= step;
  }
}
