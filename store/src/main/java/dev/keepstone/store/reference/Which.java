package dev.keepstone.store.reference;

/// Which checkpoint of a run is meant.
public sealed interface Which {
  /// The newest on the line.
  record Latest() implements Which {}

  /// The oldest on the line.
  record First() implements Which {}

  /// Of this step, of the newest start on the line that has it.
  record Step(long step) implements Which {}

  /// This one, on the line or off it.
  record Id(CheckpointId id) implements Which {}

  /// A number of checkpoints of the line earlier than another.
  ///
  /// @param from where to count from; no `Back` itself
  /// @param count ≥ 0
  record Back(Which from, int count) implements Which {}

  Which LATEST = new Latest();

  /// How people write it.
  default String text() {
    return switch (this) {
      case Latest() -> "latest";
      case First() -> "first";
      case Step(long step) -> Long.toString(step);
      case Id(CheckpointId id) -> id.toString();
      case Back(Which from, int count) -> from.text() + "~" + count;
    };
  }
}
