package dev.keepstone.core.diff;

import dev.keepstone.core.diff.DiffReport.Named;
import dev.keepstone.core.diff.DiffReport.Renamed;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredTensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Tensors that are on one side only and may be the same under another name.
///
/// Where several have the same bytes (biases of zeros, norms of ones), those whose names end alike
/// are taken for each other. Empty tensors have no bytes to tell them by.
final class Renames {
  private final CheckpointView a;
  private final CheckpointView b;
  private final List<StoredTensor> fromA;
  private final List<StoredTensor> fromB;
  private final Set<StoredTensor> paired = new HashSet<>();

  Renames(CheckpointView a, CheckpointView b, List<StoredTensor> onlyA, List<StoredTensor> onlyB) {
    this.a = a;
    this.b = b;
    Set<Form> forms = new HashSet<>();
    onlyB.forEach(tensor -> forms.add(Form.of(tensor)));
    this.fromA = candidates(onlyA, forms);
    forms.clear();
    fromA.forEach(tensor -> forms.add(Form.of(tensor)));
    this.fromB = candidates(onlyB, forms);
  }

  private record Form(Dtype dtype, Shape shape) {
    static Form of(StoredTensor stored) {
      return new Form(stored.tensor().dtype(), stored.tensor().shape());
    }
  }

  private record Content(Form form, int crc32) {}

  private static List<StoredTensor> candidates(List<StoredTensor> tensors, Set<Form> forms) {
    return tensors.stream()
        .filter(tensor -> tensor.tensor().byteLength() > 0 && forms.contains(Form.of(tensor)))
        .toList();
  }

  /// Of all candidates, for progress.
  long bytes() {
    return Stream.concat(fromA.stream(), fromB.stream())
        .mapToLong(stored -> stored.tensor().byteLength())
        .sum();
  }

  List<Renamed> find(Comparison comparison) throws IOException {
    Map<Content, NavigableMap<String, List<StoredTensor>>> known = new HashMap<>();
    for (StoredTensor stored : fromB) {
      Content content = new Content(Form.of(stored), comparison.crc32(b, stored));
      known
          .computeIfAbsent(content, _ -> new TreeMap<>())
          .computeIfAbsent(reversed(stored), _ -> new ArrayList<>())
          .add(stored);
    }
    List<Renamed> found = new ArrayList<>();
    Map<StoredTensor, NavigableMap<String, List<StoredTensor>>> open = new LinkedHashMap<>();
    for (StoredTensor stored : fromA) {
      Content content = new Content(Form.of(stored), comparison.crc32(a, stored));
      NavigableMap<String, List<StoredTensor>> alike = known.get(content);
      if (alike != null) {
        open.put(stored, alike);
      }
    }
    for (var entry : open.entrySet()) {
      StoredTensor partner = nearest(entry.getKey(), entry.getValue());
      if (partner != null && comparison.equal(entry.getKey(), partner)) {
        take(entry.getValue(), partner);
        paired.add(entry.getKey());
        paired.add(partner);
        found.add(new Renamed(Diff.named(entry.getKey()), Diff.named(partner)));
      }
    }
    return found;
  }

  /// The one whose name, read backwards, stands next to this one's and shares more of it.
  private static @Nullable StoredTensor nearest(
      StoredTensor stored, NavigableMap<String, List<StoredTensor>> alike) {
    String name = reversed(stored);
    String before = alike.floorKey(name);
    String after = alike.ceilingKey(name);
    String chosen = common(name, before) >= common(name, after) ? before : after;
    List<StoredTensor> ofName = chosen == null ? null : alike.get(chosen);
    return ofName == null ? null : ofName.getFirst();
  }

  private static void take(NavigableMap<String, List<StoredTensor>> alike, StoredTensor taken) {
    String name = reversed(taken);
    List<StoredTensor> ofName = alike.getOrDefault(name, new ArrayList<>());
    ofName.remove(taken);
    if (ofName.isEmpty()) {
      alike.remove(name);
    }
  }

  private static int common(String name, @Nullable String other) {
    if (other == null) {
      return -1;
    }
    int count = 0;
    while (count < Math.min(name.length(), other.length())
        && name.charAt(count) == other.charAt(count)) {
      count++;
    }
    return count;
  }

  private static String reversed(StoredTensor stored) {
    return new StringBuilder(stored.tensor().name()).reverse().toString();
  }

  /// Those for which no other name was found.
  List<Named> left(List<StoredTensor> tensors) {
    return tensors.stream().filter(tensor -> !paired.contains(tensor)).map(Diff::named).toList();
  }
}
