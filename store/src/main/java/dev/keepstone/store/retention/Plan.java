package dev.keepstone.store.retention;

import dev.keepstone.store.reference.CheckpointId;
import java.util.List;
import java.util.Optional;

/// What is kept and what goes, before anything is done.
///
/// @param entries every checkpoint that stands, in order
/// @param warnings what the user may not have meant, such as a metric that no checkpoint has
public record Plan(List<Entry> entries, List<String> warnings) {
  public Plan {
    entries = List.copyOf(entries);
    warnings = List.copyOf(warnings);
  }

  /// One checkpoint of the plan.
  ///
  /// @param reasons why, at least one
  /// @param bytes of its shards
  public record Entry(CheckpointId id, Action action, List<String> reasons, long bytes) {
    public Entry {
      reasons = List.copyOf(reasons);
    }

    /// The reasons in one line.
    public String why() {
      return String.join(", ", reasons);
    }
  }

  /// What is to happen to a checkpoint.
  public enum Action {
    KEEP,
    DELETE
  }

  /// The checkpoints that go.
  public List<Entry> deletions() {
    return entries.stream().filter(entry -> entry.action == Action.DELETE).toList();
  }

  /// What is to happen to one checkpoint; empty for one that does not stand.
  public Optional<Entry> entry(CheckpointId id) {
    return entries.stream().filter(entry -> entry.id.equals(id)).findFirst();
  }
}
