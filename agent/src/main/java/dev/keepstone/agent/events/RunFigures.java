package dev.keepstone.agent.events;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.RunStatus;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// What the events of one run add up to. Guarded by [Figures].
final class RunFigures {
  private final String store;
  private final String run;
  private final Map<String, Double> counters = new TreeMap<>();
  private final Histogram stall = new Histogram(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5);
  private final Histogram durable = new Histogram(0.1, 0.5, 1, 5, 10, 30, 60, 300, 1200);
  private final Map<String, Save> saves = new LinkedHashMap<>();
  private final Map<Integer, Held> held = new TreeMap<>();
  private double drainRate;
  private String lastId = "";
  private RunStatus.@Nullable Slowest slowest;
  private RunStatus.@Nullable Due due;

  RunFigures(String store, String run) {
    this.store = store;
    this.run = run;
  }

  /// @param counters by the name of the metric, without its prefix
  record Numbers(
      String store, String run, Map<String, Double> counters, Histogram stall, Histogram durable) {}

  private record Held(String why, long since) {}

  /// One rank's save on its way, by the time at which each phase began.
  private static final class Save {
    final String id;
    final int rank;
    final Map<String, Long> phases = new LinkedHashMap<>();
    long done;
    long bytes;
    List<Long> waitingFor = List.of();

    Save(String id, int rank) {
      this.id = id;
      this.rank = rank;
    }
  }

  double drainRate() {
    return drainRate;
  }

  Numbers numbers() {
    return new Numbers(store, run, Map.copyOf(counters), stall.copy(), durable.copy());
  }

  void take(String event, Json.Obj fields, long now) {
    switch (event) {
      case "sealed" -> {
        count("saves_sealed_total", 1);
        count("captured_bytes_total", fields.integer("bytes"));
        stall.add(fields.real("stall_ms") / 1e3);
        Save save = save(fields);
        save.bytes = fields.integer("bytes");
        save.phases.put("sealed", now);
      }
      case "draining" -> {
        Save save = save(fields);
        save.bytes = fields.integer("bytes");
        save.phases.put("draining", now);
      }
      case "progress" -> save(fields).done = fields.integer("done");
      case "drained" -> drained(fields);
      case "part" -> part(fields, now);
      case "waiting" -> waiting(fields);
      case "committed" -> {
        count("saves_committed_total", 1);
        durable.add(fields.real("durable_ms") / 1e3);
        set("last_durable_timestamp_seconds", now / 1e3);
        saves.remove(key(fields));
        if (due != null && due.step() == fields.integer("step")) {
          due = null;
        }
      }
      case "failed" -> {
        boolean skipped =
            fields.get("error") instanceof Json.Obj error
                && error.text("what").startsWith("skipped");
        count(skipped ? "saves_skipped_total" : "saves_failed_total", 1);
        saves.remove(key(fields));
      }
      case "due" ->
          due =
              new RunStatus.Due(
                  fields.integer("step"),
                  fields.text("why"),
                  (int) fields.integer("attempt"),
                  fields.has("needs_ms") ? fields.real("needs_ms") : null,
                  fields.has("grace_ms") ? fields.integer("grace_ms") : null);
      case "held-up" -> held.put(rank(fields), new Held(fields.text("why"), now));
      case "went-on" -> {
        held.remove(rank(fields));
        count("held_up_seconds_total", fields.real("ms") / 1e3);
      }
      case "restored" -> {
        count("restores_total", 1);
        count("restored_bytes_total", fields.integer("bytes"));
      }
      case "purged" -> count("purged_bytes_total", fields.integer("bytes"));
      case "quarantined" -> count("quarantined_total", 1);
      default -> {
        // Tells of no number.
      }
    }
  }

  private void drained(Json.Obj fields) {
    long written = fields.integer("written");
    double ms = fields.real("ms");
    count("written_bytes_total", written);
    count("drain_seconds_total", ms / 1e3);
    if (ms > 0 && written > 0) {
      drainRate = written / ms;
    }
    Save save = save(fields);
    save.done = save.bytes;
  }

  private void part(Json.Obj fields, long now) {
    Save save = saves.get(key(fields));
    if (save == null) {
      return;
    }
    save.phases.put("committing", now);
    double ms = now - save.phases.values().iterator().next();
    if (!lastId.equals(save.id) || slowest == null || slowest.ms() < ms) {
      slowest = new RunStatus.Slowest(save.id, save.rank, ms);
    }
    lastId = save.id;
  }

  private void waiting(Json.Obj fields) {
    String id = fields.text("id");
    List<Long> ranks =
        fields.array("ranks").stream()
            .filter(Json.Int.class::isInstance)
            .map(rank -> ((Json.Int) rank).value())
            .toList();
    saves.values().stream()
        .filter(save -> save.id.equals(id))
        .forEach(save -> save.waitingFor = ranks);
  }

  private Save save(Json.Obj fields) {
    return saves.computeIfAbsent(key(fields), _ -> new Save(fields.text("id"), rank(fields)));
  }

  private static int rank(Json.Obj fields) {
    return fields.has("rank") ? (int) fields.integer("rank") : 0;
  }

  private static String key(Json.Obj fields) {
    return fields.text("id") + "/" + rank(fields);
  }

  private void count(String name, double more) {
    counters.merge(name, more, Double::sum);
  }

  private void set(String name, double value) {
    counters.put(name, value);
  }

  RunStatus complete(RunStatus bare, long now) {
    List<RunStatus.Save> under = new ArrayList<>();
    saves.values().stream()
        .filter(save -> !save.phases.isEmpty())
        .forEach(save -> under.add(status(save, now)));
    List<RunStatus.HeldUp> waiting = new ArrayList<>();
    held.forEach((rank, of) -> waiting.add(new RunStatus.HeldUp(rank, of.why(), now - of.since())));
    return new RunStatus(
        bare.store(),
        bare.run(),
        bare.start(),
        bare.ranks(),
        bare.lastSealed(),
        bare.lastDurable(),
        bare.queue(),
        bare.failures(),
        bare.held(),
        bare.limitRate(),
        bare.gentle(),
        due,
        slowest,
        under,
        waiting);
  }

  private static RunStatus.Save status(Save save, long now) {
    List<Map.Entry<String, Long>> begun = List.copyOf(save.phases.entrySet());
    List<RunStatus.Phase> phases = new ArrayList<>();
    for (int i = 0; i < begun.size(); i++) {
      long end = i + 1 < begun.size() ? begun.get(i + 1).getValue() : now;
      phases.add(new RunStatus.Phase(begun.get(i).getKey(), end - begun.get(i).getValue()));
    }
    return new RunStatus.Save(
        save.id,
        save.rank,
        phases.getLast().name(),
        save.done,
        save.bytes,
        save.waitingFor,
        phases);
  }
}
