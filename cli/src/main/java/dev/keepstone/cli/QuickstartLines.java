package dev.keepstone.cli;

import dev.keepstone.segment.place.Outlives;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/// What the quickstart tells people: plain lines of at most 80 columns.
final class QuickstartLines {
  private static final String INDENT = " ".repeat(14);

  private QuickstartLines() {}

  /// A new act: ` 1 agent what happened`.
  static String act(int number, String name, String what) {
    return String.format(Locale.ROOT, "%2d  %-9s %s", number, name, what);
  }

  /// More of an act.
  static String more(String what) {
    return INDENT + what;
  }

  static String agent(long pid, long budget, Outlives outlives) {
    String survives =
        switch (outlives) {
          case NODE -> "outlives trainer and shell";
          case JOB_STEP -> "ends with this job step";
          case PROCESS -> "ends with this container";
        };
    return act(1, "agent", "pid " + pid + " · budget " + Units.size(budget) + " · " + survives);
  }

  static String trainer(long pid, long parameters) {
    return act(
        2,
        "trainer",
        String.format(
            Locale.ROOT,
            "pid %d · transformer, %.1f M parameters, AdamW, dropout",
            pid,
            parameters / 1e6));
  }

  static String text(long bytes, long every) {
    return more(
        "text: this repository's docs, "
            + Units.size(bytes)
            + " · saves every "
            + every
            + " steps");
  }

  /// A save; `durable in 61 ms` or `31 % drained` stands at the end.
  static String save(QuickstartLedger.Save save, String end) {
    return String.format(
        Locale.ROOT,
        "    step %4d   loss %.3f   saved %s   waited %s   %s",
        save.step(),
        save.loss(),
        Units.size(save.bytes()),
        millis(save.stallMillis()),
        end);
  }

  static String durable(double millis) {
    return "durable in " + millis(millis);
  }

  /// The moment of the kill; `ended` below `begun` shows that a step was under way.
  static String kill(long pid, long begun, long ended, long slow) {
    return String.format(
        Locale.ROOT,
        "    step %4d   SIGKILL to pid %d %s; step %d still draining",
        Math.max(begun, ended),
        pid,
        begun > ended ? "in mid-step" : "after it",
        slow);
  }

  static String finished(long step, String id) {
    return act(3, "agent", "drained " + step + " without its trainer · verified · committed " + id);
  }

  static String restored(long pid, String id, String from, double millis) {
    return act(
        4, "restart", "pid " + pid + " restored " + id + " from " + from + " in " + millis(millis));
  }

  /// Said before the reference run, which takes a while.
  static String reference(long steps) {
    return act(5, "check", "a third process trains the same " + steps + " steps, uninterrupted");
  }

  static String check(QuickstartLedger.Agreement agreement) {
    long same = agreement.compared() - agreement.different().size();
    return more(
        same + " of " + agreement.compared() + " losses after the restart are bit-identical");
  }

  static String store(String shown, QuickstartStore.Verified verified) {
    String found = verified.problem() == null ? "every byte verified" : "DAMAGED";
    return act(6, "store", shown + " · " + verified.checkpoints() + " checkpoints · " + found);
  }

  /// What the saves cost, and what the same bytes cost otherwise; medians but for p99 and max.
  static List<String> costs(QuickstartFigures figures) {
    return List.of(
        String.format(
            Locale.ROOT,
            "    trainer waited   p50 %s · p99 %s · max %s",
            millis(figures.stall50()),
            millis(figures.stall99()),
            millis(figures.stallMax())),
        String.format(
            Locale.ROOT,
            "    durable after    p50 %s · max %s (without the slowed one)",
            millis(figures.durable50()),
            millis(figures.durableMax())),
        String.format(
            Locale.ROOT,
            "    memory copy      %s for the same bytes; a save took %.2f × that",
            millis(figures.copy50()),
            figures.stall50() / figures.copy50()),
        String.format(
            Locale.ROOT,
            "    write + fsync    %s for the same bytes, %.1f × a save",
            millis(figures.write50()),
            figures.write50() / figures.stall50()));
  }

  static List<String> next(String store, String run) {
    String reference = quoted(store + "/" + run) + "@latest";
    return List.of(
        "Next:  ./keepstone ls " + quoted(store),
        "       ./keepstone inspect " + reference,
        "       ./keepstone export " + reference + " model.safetensors",
        "       your own trainer: README.md, \"From Python in five lines\"");
  }

  /// The store as the user would type it: below the current directory without a prefix.
  static String shown(Path store, Path current) {
    return store.startsWith(current) && !store.equals(current)
        ? current.relativize(store).toString()
        : store.toString();
  }

  private static String quoted(String path) {
    return path.matches("[A-Za-z0-9_./+-]+") ? path : "'" + path.replace("'", "'\\''") + "'";
  }

  /// `4.1 ms`, `61 ms`, `1.2 s`.
  static String millis(double millis) {
    if (millis < 10) {
      return String.format(Locale.ROOT, "%.1f ms", millis);
    }
    return millis < 1000
        ? String.format(Locale.ROOT, "%.0f ms", millis)
        : String.format(Locale.ROOT, "%.1f s", millis / 1000);
  }
}
