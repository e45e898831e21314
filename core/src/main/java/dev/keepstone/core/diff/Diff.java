package dev.keepstone.core.diff;

import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.convert.Selection;
import dev.keepstone.core.diff.DiffReport.Changed;
import dev.keepstone.core.diff.DiffReport.Kind;
import dev.keepstone.core.diff.DiffReport.Named;
import dev.keepstone.core.diff.DiffReport.Numbers;
import dev.keepstone.core.diff.DiffReport.StateChange;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredTensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// Compares two checkpoints of any format, in at most 64 MiB and a little per tensor, whatever
/// their size.
///
/// Tensors are matched by component and name. A checkpoint whose format has no components is taken
/// for the other's `model`, or for its only component. What is left on both sides is matched by
/// content: checksums find candidates, and bytes compared prove them.
public final class Diff {
  private static final String MODEL = "model";

  private final CheckpointView a;
  private final CheckpointView b;
  private final List<Changed> changed = new ArrayList<>();
  private long unchanged;

  private Diff(CheckpointView a, CheckpointView b) {
    this.a = a;
    this.b = b;
  }

  /// Compares, on this thread; interrupting it ends the comparison with an exception.
  ///
  /// @param selection which tensors; where it is not all of them, state trees are left alone
  /// @throws dev.keepstone.core.failure.KeepstoneException.Integrity where bytes cannot be trusted
  public static DiffReport of(
      CheckpointView a, CheckpointView b, Selection selection, Progress progress)
      throws IOException {
    return new Diff(a, b).compare(selection, progress);
  }

  private record Key(String component, String name) {}

  private record Pair(StoredTensor a, StoredTensor b) {}

  private DiffReport compare(Selection selection, Progress progress) throws IOException {
    Predicate<String> wanted = selection.predicate();
    Map<Key, StoredTensor> left = tensors(a, b, wanted);
    List<StoredTensor> onlyB = new ArrayList<>();
    List<Pair> pairs = new ArrayList<>();
    tensors(b, a, wanted)
        .forEach((key, tensor) -> {
          StoredTensor same = left.remove(key);
          if (same == null) {
            onlyB.add(tensor);
          } else {
            pairs.add(new Pair(same, tensor));
          }
        });
    List<StoredTensor> onlyA = new ArrayList<>(left.values());
    Renames renames = new Renames(a, b, onlyA, onlyB);
    long total = renames.bytes() + pairs.stream().mapToLong(Diff::bytes).sum();
    try (Comparison comparison = new Comparison(a, b, progress, total)) {
      for (Pair pair : pairs) {
        compare(pair, comparison);
      }
      List<DiffReport.Renamed> renamed = renames.find(comparison);
      changed.sort(LARGEST_FIRST);
      Optional<Json.Obj> stateA = a.state();
      Optional<Json.Obj> stateB = b.state();
      boolean withState =
          selection.equals(Selection.ALL) && stateA.isPresent() && stateB.isPresent();
      List<StateChange> state =
          withState ? StateDiff.of(stateA.orElseThrow(), stateB.orElseThrow()) : List.of();
      return new DiffReport(
          renames.left(onlyB),
          renames.left(onlyA),
          renamed,
          changed,
          unchanged,
          state,
          withState,
          comparison.bytesRead());
    }
  }

  /// A change without numbers is a change of form, which no number outdoes; nor does a number outdo
  /// a ratio to nothing.
  private static final Comparator<Changed> LARGEST_FIRST =
      Comparator.comparing(Changed::kind).thenComparing(Diff::size, Comparator.reverseOrder());

  private static double size(Changed changed) {
    Numbers numbers = changed.numbers();
    Double relative = numbers == null ? null : numbers.relL2();
    return relative == null ? Double.POSITIVE_INFINITY : relative;
  }

  private static Map<Key, StoredTensor> tensors(
      CheckpointView view, CheckpointView other, Predicate<String> wanted) {
    String home = home(other);
    Map<Key, StoredTensor> tensors = new LinkedHashMap<>();
    for (StoredTensor tensor : view.tensors()) {
      if (wanted.test(tensor.tensor().name())) {
        String component = tensor.component().isEmpty() ? home : tensor.component();
        tensors.put(new Key(component, tensor.tensor().name()), tensor);
      }
    }
    return tensors;
  }

  /// The component that a checkpoint without any is compared with.
  private static String home(CheckpointView view) {
    TreeSet<String> components = new TreeSet<>();
    view.tensors().forEach(tensor -> components.add(tensor.component()));
    if (components.contains(MODEL) || components.isEmpty()) {
      return MODEL;
    }
    return components.size() == 1 ? components.first() : MODEL;
  }

  private static long bytes(Pair pair) {
    return pair.a.tensor().shape().equals(pair.b.tensor().shape())
        ? pair.a.tensor().byteLength() + pair.b.tensor().byteLength()
        : 0;
  }

  private void compare(Pair pair, Comparison comparison) throws IOException {
    Tensor before = pair.a.tensor();
    Tensor after = pair.b.tensor();
    if (!before.shape().equals(after.shape())) {
      change(pair, Kind.SHAPE, null);
    } else if (before.dtype() != after.dtype()) {
      change(pair, Kind.DTYPE, comparison.numbers(pair.a, pair.b));
    } else if (comparison.equal(pair.a, pair.b)) {
      unchanged++;
    } else {
      change(pair, Kind.VALUES, comparison.numbers(pair.a, pair.b));
    }
  }

  private void change(Pair pair, Kind kind, @Nullable Numbers numbers) {
    changed.add(new Changed(named(pair.a), named(pair.b), kind, numbers));
  }

  static Named named(StoredTensor tensor) {
    return new Named(tensor.component(), tensor.tensor());
  }
}
