package dev.keepstone.core.diff;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What differs between checkpoint A and checkpoint B.
///
/// @param added only in B, in its order
/// @param removed only in A, in its order
/// @param renamed the same bytes, dtype and shape under another name
/// @param changed under the same name and not the same; the largest change first
/// @param unchanged how many are the same, bit by bit
/// @param state where the state trees differ; empty where [#stateCompared] is false
/// @param stateCompared false where a side has no state tree, or only some tensors were asked for
/// @param bytes tensor bytes read from both
public record DiffReport(
    List<Named> added,
    List<Named> removed,
    List<Renamed> renamed,
    List<Changed> changed,
    long unchanged,
    List<StateChange> state,
    boolean stateCompared,
    long bytes) {
  public DiffReport {
    added = List.copyOf(added);
    removed = List.copyOf(removed);
    renamed = List.copyOf(renamed);
    changed = List.copyOf(changed);
    state = List.copyOf(state);
  }

  /// Whether nothing differs.
  public boolean equal() {
    return added.isEmpty()
        && removed.isEmpty()
        && renamed.isEmpty()
        && changed.isEmpty()
        && state.isEmpty();
  }

  /// A tensor as one side has it.
  ///
  /// @param component empty where the format has none
  public record Named(String component, Tensor tensor) {
    /// For people: `model: layers.0.weight`.
    public String text() {
      return component.isEmpty() ? tensor.name() : component + ": " + tensor.name();
    }
  }

  /// @param from as A calls it
  /// @param to as B calls it
  public record Renamed(Named from, Named to) {}

  /// In which way a tensor changed. Where the shape did, values cannot be compared; where the dtype
  /// did, they are.
  public enum Kind {
    SHAPE,
    DTYPE,
    VALUES
  }

  /// @param numbers null where values cannot be compared: another shape, or a dtype without values
  public record Changed(Named a, Named b, Kind kind, @Nullable Numbers numbers) {}

  /// By how much values differ. Elements that are not finite on a side are counted there and left
  /// out of the rest; what has no answer (a ratio to nothing) is null.
  ///
  /// @param maxAbs largest difference of an element; of its modulus where elements are complex
  /// @param relL2 L2 norm of the difference over that of A
  /// @param cosine of the angle between A and B
  public record Numbers(
      @Nullable Double maxAbs,
      @Nullable Double relL2,
      @Nullable Double cosine,
      long nonfiniteA,
      long nonfiniteB) {}

  /// @param path as in Python: `state["optimizer"]["param_groups"][0]["lr"]`
  /// @param a null where A has nothing there
  /// @param b null where B has nothing there
  public record StateChange(String path, @Nullable Json a, @Nullable Json b) {}
}
