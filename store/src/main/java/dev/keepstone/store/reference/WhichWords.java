package dev.keepstone.store.reference;

import dev.keepstone.core.failure.KeepstoneException;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/// The words after `@` that stand for themselves, without `~N`.
final class WhichWords {
  private static final Pattern TAG = Pattern.compile("[A-Za-z][A-Za-z0-9_.]{0,127}");
  private static final Set<String> WORDS = Set.of("latest", "first", "best", "last-good");

  private WhichWords() {}

  static Which plain(String text, String on) {
    return switch (text) {
      case "latest" -> Which.LATEST;
      case "first" -> new Which.First();
      case "best" -> new Which.Best();
      case "last-good" -> new Which.LastGood();
      default -> number(text, on);
    };
  }

  private static Which number(String text, String on) {
    Optional<CheckpointId> id = CheckpointId.find(text);
    if (id.isPresent()) {
      return new Which.Id(id.get());
    }
    long step = Decimal.find(text, CheckpointId.MAX_STEP);
    if (step >= 0) {
      return new Which.Step(step);
    }
    if (isTag(text)) {
      return new Which.Tag(text);
    }
    throw refused("\"" + text + "\" names no checkpoint", on);
  }

  /// Whether a text may be a tag: none of the words, and nothing that reads as a number or an id.
  static boolean isTag(String text) {
    return TAG.matcher(text).matches() && !WORDS.contains(text);
  }

  static KeepstoneException.Refused refused(String what, String on) {
    return new KeepstoneException.Refused(
        what,
        on,
        "use latest, best, last-good, first, a step (500), an id (3-500), a tag, or one of them and"
            + " ~N (latest~1)");
  }
}
