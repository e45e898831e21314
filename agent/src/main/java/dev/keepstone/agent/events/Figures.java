package dev.keepstone.agent.events;

import dev.keepstone.core.json.Json;
import java.util.LinkedHashMap;
import java.util.Map;

/// Numbers that the agent's events add up to, by run. Every event passes through here, so that what
/// is measured is what is told.
public final class Figures {
  private final Map<String, RunFigures> runs = new LinkedHashMap<>();

  /// Takes an event in.
  synchronized void take(String event, Json.Obj fields) {
    if (fields.get("store") instanceof Json.Text(String store)
        && fields.get("run") instanceof Json.Text(String run)) {
      runs.computeIfAbsent(store + "/" + run, _ -> new RunFigures()).take(event, fields);
    }
  }

  /// Bytes per millisecond at which the last drain of a run wrote; 0 where none did.
  public synchronized double drainRate(String run) {
    RunFigures figures = runs.get(run);
    return figures == null ? 0 : figures.drainRate;
  }

  private static final class RunFigures {
    private double drainRate;

    void take(String event, Json.Obj fields) {
      if (event.equals("drained")) {
        double ms = fields.real("ms");
        long written = fields.integer("written");
        if (ms > 0 && written > 0) {
          drainRate = written / ms;
        }
      }
    }
  }
}
