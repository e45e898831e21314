package dev.keepstone.store.reference;

import dev.keepstone.core.failure.KeepstoneException;

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
  /// @param from where to count from
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

  /// Reads what people write after `@`.
  ///
  /// @param on the whole reference, for messages
  /// @throws KeepstoneException.Refused where it is no choice, or one that does not work yet
  static Which parse(String text, String on) {
    int tilde = text.indexOf('~');
    if (tilde < 0) {
      return WhichWords.plain(text, on);
    }
    long count = Decimal.find(text.substring(tilde + 1), Integer.MAX_VALUE);
    if (count < 0) {
      throw WhichWords.refused(
          "expected a number after ~, found \"" + text.substring(tilde + 1) + "\"", on);
    }
    return new Back(WhichWords.plain(text.substring(0, tilde), on), (int) count);
  }
}
