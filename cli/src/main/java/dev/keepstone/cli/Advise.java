package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.RunFigures;
import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.policy.LostTime;
import dev.keepstone.store.policy.SaveInterval;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.run.Run;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone advise`: how often to save, from what saves cost and how often machines fail.
@Command(
    name = "advise",
    header = "Say how often to save, from measured or given figures.",
    footer = {
      "",
      "Examples:",
      "  keepstone advise ckpts/gpt --mtbf 3h",
      "  keepstone advise --cost 60s --mtbf 3h --restart 5m"
    })
final class Advise implements Verb {
  /// Until a trainer computes again; most of it is its scheduler's and its imports'.
  private static final Duration RESTART = Duration.ofMinutes(5);

  @Parameters(
      arity = "0..1",
      paramLabel = "STORE/RUN",
      description = "A run whose records tell what is not given.")
  @Nullable String where;

  @Option(
      names = "--cost",
      paramLabel = "TIME",
      converter = DurationOption.class,
      description = "What a save stops the trainer for, as in 60s.")
  @Nullable Duration cost;

  @Option(
      names = "--durable",
      paramLabel = "TIME",
      converter = DurationOption.class,
      description = "From the save until it is durable (default: the cost).")
  @Nullable Duration durable;

  @Option(
      names = "--size",
      paramLabel = "SIZE",
      converter = SizeOption.class,
      description = "Instead of --durable, with --bandwidth: bytes of a checkpoint.")
  @Nullable Long size;

  @Option(
      names = "--bandwidth",
      paramLabel = "SIZE",
      converter = SizeOption.class,
      description = "Bytes that the storage takes in a second, as in 10GiB.")
  @Nullable Long bandwidth;

  @Option(
      names = "--mtbf",
      paramLabel = "TIME",
      converter = DurationOption.class,
      description = "Mean time between failures of the whole job, as in 3h.")
  @Nullable Duration mtbf;

  @Option(
      names = "--restart",
      paramLabel = "TIME",
      converter = DurationOption.class,
      description = "From a failure until the trainer computes again (default: 5m).")
  Duration restart = RESTART;

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading();
  }

  @Override
  public Answer run(Console console) {
    List<String> sources = new ArrayList<>();
    LostTime lost = figures(console.shell().host(), sources);
    SaveInterval interval = SaveInterval.of(lost);
    double share = lost.share(interval.best());
    console.say("save every  " + time(interval.best()));
    console.say(
        "lost then   %.2f %% of the time: saves, work done again, restarts".formatted(100 * share));
    console.say("");
    sources.forEach(console::say);
    console.say(
        "by formula  Young %s, Daly %s".formatted(time(interval.young()), time(interval.daly())));
    for (double factor : new double[] {0.5, 2, 5}) {
      double other = factor * interval.best();
      console.say("every %-6s would lose %.2f %%".formatted(time(other), 100 * lost.share(other)));
    }
    return Answer.of(
        Json.object()
            .put("interval_s", interval.best())
            .put("lost_share", share)
            .put("young_s", interval.young())
            .put("daly_s", interval.daly())
            .put("cost_s", lost.cost())
            .put("durable_s", lost.durable())
            .put("restart_s", lost.restart())
            .put("mtbf_s", lost.mtbf())
            .build());
  }

  /// What is given, and from the run's records what is not.
  private LostTime figures(Host host, List<String> sources) {
    RunFigures seen = where == null ? null : seen(host, where);
    double stall =
        choose(cost, seen == null ? OptionalDouble.empty() : seen.stallSeconds(), "cost");
    sources.add("a save      stops the trainer for " + time(stall) + from(cost));
    double until;
    if (size != null && bandwidth != null) {
      until = stall + (double) size / bandwidth;
    } else {
      OptionalDouble told = seen == null ? OptionalDouble.empty() : seen.durableSeconds();
      until = durable != null ? seconds(durable) : told.orElse(stall);
    }
    sources.add("durable     after " + time(Math.max(until, stall)));
    double between =
        choose(mtbf, seen == null ? OptionalDouble.empty() : seen.secondsBetweenRestarts(), "mtbf");
    sources.add("failures    every " + time(between) + from(mtbf));
    return new LostTime(stall, until, seconds(restart), between);
  }

  private static RunFigures seen(Host host, String text) {
    Reference reference = Reference.parse(text, host.disk());
    Run run = Store.open(host, reference.store()).run(reference.run());
    return RunFigures.of(run, run.lookDecided(host.clock()));
  }

  private double choose(@Nullable Duration given, OptionalDouble seen, String option) {
    if (given != null) {
      return seconds(given);
    }
    return seen.orElseThrow(() ->
        new KeepstoneException.Refused(
            where == null
                ? "--" + option + " is not given, and no run whose records could tell"
                : "the run's records do not tell it yet",
            where == null ? "keepstone advise" : where,
            "give --" + option));
  }

  private static String from(@Nullable Duration given) {
    return given == null ? ", as measured" : "";
  }

  private static double seconds(Duration duration) {
    return duration.toMillis() / 1e3;
  }

  /// `48 ms`, `7.5 s`, `27 min`, `3.1 h`.
  private static String time(double seconds) {
    String form =
        seconds < 1 ? "%.0f ms" : seconds < 120 ? "%.1f s" : seconds < 7200 ? "%.0f min" : "%.1f h";
    double unit = seconds < 1 ? 1e-3 : seconds < 120 ? 1 : seconds < 7200 ? 60 : 3600;
    return String.format(Locale.ROOT, form, seconds / unit);
  }
}
