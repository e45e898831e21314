package dev.keepstone.store.reference;

import dev.keepstone.core.failure.KeepstoneException;
import java.util.Optional;
import java.util.regex.Pattern;

/// The words after `@` that stand for themselves, without `~N`.
final class WhichWords {
  private static final Pattern TAG = Pattern.compile("[A-Za-z][A-Za-z0-9_.]*");

  private WhichWords() {}

  static Which plain(String text, String on) {
    return switch (text) {
      case "latest" -> Which.LATEST;
      case "first" -> new Which.First();
      case "best" ->
          throw refused("@best needs a metric to compare by, which runs do not record yet", on);
      case "last-good" ->
          throw refused("@last-good needs recorded verdicts, which runs do not have yet", on);
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
    throw refused(
        TAG.matcher(text).matches()
            ? "\"" + text + "\" would be a tag, and runs do not have tags yet"
            : "\"" + text + "\" names no checkpoint",
        on);
  }

  static KeepstoneException.Refused refused(String what, String on) {
    return new KeepstoneException.Refused(
        what,
        on,
        "use latest, first, a step (500), an id (3-500), or one of them and ~N (latest~1)");
  }
}
