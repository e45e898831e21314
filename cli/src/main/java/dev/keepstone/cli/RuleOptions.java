package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.fact.Mode;
import dev.keepstone.store.retention.Best;
import dev.keepstone.store.retention.Every;
import dev.keepstone.store.retention.KeepRules;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// What is to be kept, as options. Any of them keeps.
final class RuleOptions {
  @Option(names = "--keep-last", paramLabel = "N|all", description = "The newest N.")
  @Nullable String keepLast;

  @Option(
      names = "--keep-every",
      paramLabel = "STEPS|TIME",
      split = ",",
      description = "One for good each so often: 1000steps, 6h; several may be given.")
  List<String> keepEvery = List.of();

  @Option(names = "--keep-best", paramLabel = "N", description = "The best N by --monitor.")
  @Nullable Integer keepBest;

  @Option(names = "--monitor", paramLabel = "METRIC", description = "What they are compared by.")
  @Nullable String monitor;

  @Option(names = "--mode", paramLabel = "min|max", description = "Which value is better.")
  @Nullable Mode mode;

  @Option(names = "--keep-first", description = "The first one.")
  boolean keepFirst;

  @Option(
      names = "--older-than",
      paramLabel = "TIME",
      converter = DurationOption.class,
      description = "Delete only what was saved longer ago.")
  @Nullable Duration olderThan;

  boolean any() {
    return keepLast != null
        || !keepEvery.isEmpty()
        || keepBest != null
        || monitor != null
        || mode != null
        || keepFirst
        || olderThan != null;
  }

  /// The rules. The newest is kept whatever they say, so without `--keep-last` it is one.
  ///
  /// @throws KeepstoneException.Refused where they are none
  KeepRules read(Instant now) {
    try {
      return new KeepRules(
          last(),
          keepEvery.stream().map(Every::parse).toList(),
          best(),
          keepFirst,
          Optional.ofNullable(olderThan).map(now::minus));
    } catch (IllegalArgumentException e) {
      throw new KeepstoneException.Refused(
          String.valueOf(e.getMessage()), "the rules", "keepstone prune --help names them");
    }
  }

  private OptionalInt last() {
    if (keepLast == null) {
      return OptionalInt.of(1);
    }
    if (keepLast.equals("all")) {
      return OptionalInt.empty();
    }
    if (!keepLast.matches("[0-9]{1,9}")) {
      throw new IllegalArgumentException("keep_last is a number or all, found " + keepLast);
    }
    return OptionalInt.of(Integer.parseInt(keepLast));
  }

  private Optional<Best> best() {
    if (keepBest == null) {
      if (monitor != null || mode != null) {
        throw new IllegalArgumentException("--monitor and --mode belong to --keep-best");
      }
      return Optional.empty();
    }
    if (monitor == null || mode == null) {
      throw new IllegalArgumentException(
          "--keep-best needs --monitor and --mode: trainers disagree which end is the better");
    }
    return Optional.of(new Best(keepBest, monitor, mode));
  }
}
