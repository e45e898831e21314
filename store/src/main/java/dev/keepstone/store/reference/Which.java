package dev.keepstone.store.reference;

import dev.keepstone.core.failure.KeepstoneException;

/// Which checkpoint of a run is meant.
public sealed interface Which {
  /// The newest on the line.
  record Latest() implements Which {}

  /// The oldest on the line.
  record First() implements Which {}

  /// That of the line with the best value of the run's monitored metric.
  record Best() implements Which {}

  /// The newest on the line in which nothing bad was found.
  record LastGood() implements Which {}

  /// The one that bears a name, on the line or off it.
  record Tag(String tag) implements Which {}

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
      case Best() -> "best";
      case LastGood() -> "last-good";
      case Tag(String tag) -> tag;
      case Step(long step) -> Long.toString(step);
      case Id(CheckpointId id) -> id.toString();
      case Back(Which from, int count) -> from.text() + "~" + count;
    };
  }

  /// Whether a text may name a checkpoint as a tag: a letter, then at most 127 letters, digits, `_`
  /// and `.`, and none of the words.
  static boolean isTag(String text) {
    return WhichWords.isTag(text);
  }

  /// Reads what people write after `@`.
  ///
  /// @param on the whole reference, for messages
  /// @throws KeepstoneException.Refused where it is no choice
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
