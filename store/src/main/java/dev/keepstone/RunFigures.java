package dev.keepstone;

import dev.keepstone.store.object.Start;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/// What a run's records tell of the cost of its saves and of how often it was started again.
///
/// @param saves newest checkpoints that were looked at
/// @param stallSeconds median over them of the slowest rank's stall; empty without any
/// @param durableSeconds median of the time until they were durable; empty where no agent told
/// @param restarts starts after the first
/// @param observed from the first start to the newest checkpoint
public record RunFigures(
    int saves,
    OptionalDouble stallSeconds,
    OptionalDouble durableSeconds,
    int restarts,
    Duration observed) {
  /// Enough for a median; parts of all ranks are read for each.
  private static final int LOOKED_AT = 10;

  /// Below this many restarts a rate says more about chance than about the machines.
  private static final int FEWEST_RESTARTS = 2;

  public static RunFigures of(Run run, View view) {
    List<CheckpointId> visible = view.visible();
    List<CheckpointId> newest =
        visible.subList(Math.max(0, visible.size() - LOOKED_AT), visible.size());
    double[] stalls = newest.stream().mapToDouble(id -> stall(run, id)).sorted().toArray();
    double[] durable =
        newest.stream()
            .map(id -> view.facts().durableMs(id))
            .filter(OptionalDouble::isPresent)
            .mapToDouble(ms -> ms.getAsDouble() / 1e3)
            .sorted()
            .toArray();
    Optional<Instant> first =
        view.starts().announced().stream().findFirst().map(run::start).map(Start::created);
    Instant last = newest.isEmpty() ? null : view.summary(newest.getLast()).created();
    Duration observed =
        first.isPresent() && last != null && last.isAfter(first.get())
            ? Duration.between(first.get(), last)
            : Duration.ZERO;
    return new RunFigures(
        newest.size(),
        median(stalls),
        median(durable),
        Math.max(0, view.starts().announced().size() - 1),
        observed);
  }

  /// Seconds between starts as this run saw them; empty where it saw too few.
  public OptionalDouble secondsBetweenRestarts() {
    return restarts < FEWEST_RESTARTS || observed.isZero()
        ? OptionalDouble.empty()
        : OptionalDouble.of(observed.toMillis() / 1e3 / restarts);
  }

  private static double stall(Run run, CheckpointId id) {
    return run.parts(run.manifest(id)).stream().mapToDouble(Part::stallMs).max().orElse(0) / 1e3;
  }

  private static OptionalDouble median(double[] sorted) {
    return sorted.length == 0
        ? OptionalDouble.empty()
        : OptionalDouble.of(sorted[sorted.length / 2]);
  }
}
