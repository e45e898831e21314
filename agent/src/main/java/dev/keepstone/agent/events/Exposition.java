package dev.keepstone.agent.events;

import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.RunStatus;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/// The agent's figures in Prometheus' text format, version 0.0.4; docs/guides/operations.md lists
/// them.
public final class Exposition {
  /// What HTTP calls this format.
  public static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

  private static final String PREFIX = "keepstone_";

  /// Counters of a run, with what each counts.
  private static final Map<String, String> COUNTERS =
      Map.ofEntries(
          Map.entry("saves_sealed_total", "Saves captured, by rank."),
          Map.entry("saves_committed_total", "Saves that became checkpoints, by rank."),
          Map.entry("saves_failed_total", "Saves that failed, by rank."),
          Map.entry("saves_skipped_total", "Saves that a trainer skipped because it was busy."),
          Map.entry("captured_bytes_total", "Bytes copied from trainers."),
          Map.entry("written_bytes_total", "Bytes of shards written to the store."),
          Map.entry("drain_seconds_total", "Time spent draining."),
          Map.entry("held_up_seconds_total", "Time trainers waited for memory or a slot."),
          Map.entry("restores_total", "Restores, by rank."),
          Map.entry("restored_bytes_total", "Bytes given back to trainers."),
          Map.entry("purged_bytes_total", "Bytes freed in the store by retention."),
          Map.entry("quarantined_total", "Checkpoints found damaged."));

  private final StringBuilder text = new StringBuilder();

  private Exposition() {}

  /// The page.
  ///
  /// @param nonce of this start of the agent
  public static String of(Answer.Status status, Figures figures, String version, String nonce) {
    Exposition page = new Exposition();
    page.agent(status, version, nonce);
    page.runs(status.runs());
    page.numbers(figures.numbers());
    return page.text.toString();
  }

  private void agent(Answer.Status status, String version, String nonce) {
    head("agent_info", "gauge", "The agent; always 1.");
    sample("agent_info", "version=" + quoted(version) + ",nonce=" + quoted(nonce), 1);
    gauge("agent_budget_bytes", "Shared memory that all segments may have.", status.budget());
    gauge("agent_segment_bytes", "Shared memory that segments have.", status.used());
    gauge("agent_resident_bytes", "Memory of the agent beyond segments.", status.resident());
    gauge("agent_free_bytes", "Shared memory that another segment may have.", status.free());
  }

  private void gauge(String name, String help, double value) {
    head(name, "gauge", help);
    sample(name, "", value);
  }

  private void runs(List<RunStatus> runs) {
    each("ranks", "Trainers of the run on this node.", runs, RunStatus::ranks);
    each("queue", "Sealed saves that are not durable.", runs, RunStatus::queue);
    each("segment_bytes", "Shared memory of the run's segments.", runs, RunStatus::held);
    each(
        "held_up_ranks", "Ranks that wait for memory or a slot.", runs, run -> run.heldUp().size());
    known("last_sealed_step", "Step of the newest save.", runs, RunStatus::lastSealed);
    known("last_durable_step", "Step of the newest durable save.", runs, RunStatus::lastDurable);
  }

  private void each(
      String name, String help, List<RunStatus> runs, ToDoubleFunction<RunStatus> value) {
    head(name, "gauge", help);
    runs.forEach(run -> sample(name, labels(run.store(), run.run()), value.applyAsDouble(run)));
  }

  private void known(
      String name, String help, List<RunStatus> runs, Function<RunStatus, @Nullable Long> value) {
    head(name, "gauge", help);
    for (RunStatus run : runs) {
      Long step = value.apply(run);
      if (step != null) {
        sample(name, labels(run.store(), run.run()), step);
      }
    }
  }

  private void numbers(List<RunFigures.Numbers> all) {
    COUNTERS.keySet().stream()
        .sorted()
        .forEach(name -> {
          head(name, "counter", String.valueOf(COUNTERS.get(name)));
          for (RunFigures.Numbers run : all) {
            sample(name, labels(run.store(), run.run()), run.counters().getOrDefault(name, 0.0));
          }
        });
    head("last_durable_timestamp_seconds", "gauge", "When a save last became durable.");
    for (RunFigures.Numbers run : all) {
      Double at = run.counters().get("last_durable_timestamp_seconds");
      if (at != null) {
        sample("last_durable_timestamp_seconds", labels(run.store(), run.run()), at);
      }
    }
    histograms(
        "stall_seconds", "How long a save blocked its trainer.", all, RunFigures.Numbers::stall);
    histograms(
        "durable_seconds",
        "From the call of a save until it was durable.",
        all,
        RunFigures.Numbers::durable);
  }

  private void histograms(
      String name,
      String help,
      List<RunFigures.Numbers> all,
      Function<RunFigures.Numbers, Histogram> of) {
    head(name, "histogram", help);
    for (RunFigures.Numbers run : all) {
      Histogram histogram = of.apply(run);
      String labels = labels(run.store(), run.run());
      for (int i = 0; i < histogram.bounds.length; i++) {
        sample(
            name + "_bucket",
            labels + ",le=" + quoted(number(histogram.bounds[i])),
            histogram.counts[i]);
      }
      sample(name + "_bucket", labels + ",le=\"+Inf\"", histogram.count);
      sample(name + "_sum", labels, histogram.sum);
      sample(name + "_count", labels, histogram.count);
    }
  }

  private void head(String name, String type, String help) {
    text.append("# HELP ").append(PREFIX).append(name).append(' ').append(help).append('\n');
    text.append("# TYPE ").append(PREFIX).append(name).append(' ').append(type).append('\n');
  }

  private void sample(String name, String labels, double value) {
    text.append(PREFIX).append(name);
    if (!labels.isEmpty()) {
      text.append('{').append(labels).append('}');
    }
    text.append(' ').append(number(value)).append('\n');
  }

  private static String number(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15
        ? Long.toString((long) value)
        : Double.toString(value);
  }

  private static String labels(String store, String run) {
    return "store=" + quoted(store) + ",run=" + quoted(run);
  }

  private static String quoted(String value) {
    return '"' + value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + '"';
  }
}
