package dev.keepstone.store.retention;

import dev.keepstone.store.reference.CheckpointId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// What rules say of checkpoints: why each is kept, and why each is not.
final class Judgement {
  private final Map<CheckpointId, List<String>> kept = new HashMap<>();
  private final Map<CheckpointId, List<String>> not = new HashMap<>();
  private final List<String> warnings = new ArrayList<>();

  void keep(CheckpointId id, String why) {
    kept.computeIfAbsent(id, _ -> new ArrayList<>()).add(why);
  }

  void pass(CheckpointId id, String why) {
    not.computeIfAbsent(id, _ -> new ArrayList<>()).add(why);
  }

  void warn(String warning) {
    warnings.add(warning);
  }

  /// Empty where no rule keeps it.
  List<String> kept(CheckpointId id) {
    return kept.getOrDefault(id, List.of());
  }

  /// One reason per rule that did not keep it.
  List<String> passed(CheckpointId id) {
    return not.getOrDefault(id, List.of());
  }

  List<String> warnings() {
    return warnings;
  }
}
