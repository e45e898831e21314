package dev.keepstone.agent.events;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.RunStatus;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;

/// What the agent's events add up to, by run. Every event passes through here, so that what is
/// measured is what is told.
public final class Figures {
  private final Map<String, RunFigures> runs = new LinkedHashMap<>();
  private final LongSupplier millis;

  /// @param millis the clock of the events
  Figures(LongSupplier millis) {
    this.millis = millis;
  }

  /// Takes an event in.
  synchronized void take(String event, Json.Obj fields) {
    if (fields.get("store") instanceof Json.Text(String store)
        && fields.get("run") instanceof Json.Text(String run)) {
      runs.computeIfAbsent(store + "/" + run, _ -> new RunFigures(store, run))
          .take(event, fields, millis.getAsLong());
    }
  }

  /// Bytes per millisecond at which the last drain of a run wrote; 0 where none did.
  public synchronized double drainRate(String run) {
    RunFigures figures = runs.get(run);
    return figures == null ? 0 : figures.drainRate();
  }

  /// The same run as the agent otherwise knows it, with what its events tell.
  public synchronized RunStatus complete(RunStatus bare) {
    RunFigures figures = runs.get(bare.store() + "/" + bare.run());
    return figures == null ? bare : figures.complete(bare, millis.getAsLong());
  }

  /// The numbers of each run, for scrapers.
  synchronized List<RunFigures.Numbers> numbers() {
    return runs.values().stream().map(RunFigures::numbers).toList();
  }
}
