package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.deletion.Deletion;
import java.time.Duration;
import picocli.CommandLine.Option;

/// How long announced deletions can be taken back, and whether a person agrees: options that
/// `prune` and `gc` share.
final class Grace {
  @Option(
      names = "--grace",
      paramLabel = "DURATION",
      defaultValue = "24h",
      converter = DurationOption.class,
      description = "How long it can be taken back (default: ${DEFAULT-VALUE}).")
  Duration grace = Duration.ofHours(24);

  @Option(names = "--wait", description = "Wait until the bytes are freed.")
  boolean wait;

  @Option(names = "--dry-run", description = "Say what would happen, and do nothing.")
  boolean dryRun;

  @Option(names = "--yes", description = "Do not ask.")
  boolean yes;

  /// @throws KeepstoneException.Refused where nobody agreed
  void agree(Console console, String what, String on) {
    boolean brief = grace.compareTo(Deletion.AUTOMATIC_GRACE) < 0;
    String risk =
        brief
            ? " after "
                + Units.duration(grace)
                + ": whoever reads one now, or starts from it, may lose it under its hands"
            : "";
    if (brief && yes) {
      console.note("a grace below 90 s" + risk.substring(risk.indexOf(':')));
    }
    if (!yes && !console.confirm(what + risk + "?")) {
      throw new KeepstoneException.Refused(
          "nobody said yes to this: " + what + risk,
          on,
          "the same with --yes does it, with --dry-run only says it");
    }
  }

  /// When and by whom the bytes are freed.
  String freed() {
    return "freed in "
        + Units.duration(grace)
        + ", when the run's agent looks, or keepstone gc, a day later";
  }
}
