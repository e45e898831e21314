package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Event;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// All that the quickstart has been told, as facts: a pure account that waits for nobody.
final class QuickstartLedger {
  /// A save as the trainer saw it.
  ///
  /// @param stallMillis how long the trainer was blocked
  /// @param copyMillis a memory copy of the same bytes just before
  /// @param writeMillis a write of the same bytes with a sync just before
  record Save(
      long step,
      double loss,
      String id,
      long bytes,
      double stallMillis,
      double copyMillis,
      double writeMillis) {}

  /// Losses of one trainer, as bits of a double, by step.
  record Losses(TreeMap<Long, String> bits) {
    /// Steps after `from` that both have, with a count of those that agree.
    Agreement compare(Losses other, long from) {
      long compared = 0;
      List<Long> different = new ArrayList<>();
      for (Map.Entry<Long, String> entry : bits.tailMap(from, false).entrySet()) {
        compared++;
        if (!entry.getValue().equals(other.bits.get(entry.getKey()))) {
          different.add(entry.getKey());
        }
      }
      return new Agreement(compared, different);
    }
  }

  /// @param different the steps whose losses differ in any bit
  record Agreement(long compared, List<Long> different) {
    boolean identical() {
      return compared > 0 && different.isEmpty();
    }
  }

  private final List<Save> saves = new ArrayList<>();
  private final Map<String, Map<String, Event>> told = new HashMap<>();
  private Losses losses = new Losses(new TreeMap<>());
  private final List<Double> stepMillis = new ArrayList<>();
  private Json.@Nullable Obj ready;
  private long begun;
  private long ended;

  /// A new trainer begins; its losses are counted anew.
  void trainer() {
    losses = new Losses(new TreeMap<>());
    ready = null;
    begun = 0;
    ended = 0;
  }

  /// Takes down a line of the trainer.
  void said(Json.Obj line) {
    if (line.has("pid")) {
      ready = line;
    } else if (line.has("begin")) {
      begun = line.integer("begin");
    } else {
      ended = line.integer("step");
      losses.bits().put(ended, line.text("bits"));
      stepMillis.add(line.real("ms"));
      if (line.has("saved")) {
        saves.add(save(line, line.object("saved")));
      }
    }
  }

  private static Save save(Json.Obj line, Json.Obj saved) {
    return new Save(
        line.integer("step"),
        line.real("loss"),
        saved.text("id"),
        saved.integer("bytes"),
        saved.real("stall_ms"),
        saved.real("copy_ms"),
        saved.real("write_ms"));
  }

  /// Takes down an event of the agent; of each kind the newest counts.
  void told(Event event) {
    if (event.detail().has("id")) {
      told.computeIfAbsent(event.detail().text("id"), _ -> new HashMap<>())
          .put(event.name(), event);
    }
  }

  /// The newest event of this kind about a checkpoint.
  Optional<Event> event(String id, String kind) {
    return Optional.ofNullable(told.getOrDefault(id, Map.of()).get(kind));
  }

  /// Whether the agent had begun to drain this checkpoint and had not ended.
  boolean draining(String id) {
    return event(id, "draining").isPresent() && event(id, "drained").isEmpty();
  }

  /// Whether the agent's own times show that the drain was under way at this moment.
  boolean wasDraining(String id, Instant then) {
    return event(id, "draining").filter(event -> !event.at().isAfter(then)).isPresent()
        && event(id, "drained").filter(event -> !event.at().isAfter(then)).isEmpty();
  }

  /// How much of a checkpoint had been drained by the newest report, in percent.
  long percent(String id) {
    return event(id, "progress")
        .map(event ->
            100 * event.detail().integer("done") / Math.max(1, event.detail().integer("bytes")))
        .orElse(0L);
  }

  /// Milliseconds from the call of a save to its commit; empty while that is not known.
  Optional<Double> durableMillis(String id) {
    return event(id, "committed").map(event -> event.detail().real("durable_ms"));
  }

  /// All checkpoints, oldest first.
  List<String> ids() {
    return saves.stream().map(Save::id).toList();
  }

  /// The newest trainer's first line.
  Optional<Json.Obj> ready() {
    return Optional.ofNullable(ready);
  }

  Optional<Save> save(long step) {
    return saves.stream().filter(save -> save.step() == step).findAny();
  }

  List<Save> saves() {
    return Collections.unmodifiableList(saves);
  }

  Losses losses() {
    return losses;
  }

  /// The last step that the trainer began.
  long begun() {
    return begun;
  }

  /// The last step that the trainer ended.
  long ended() {
    return ended;
  }

  double medianStepMillis() {
    return percentile(stepMillis, 50);
  }

  /// The smallest value that is at least as large as this share of them; 0 where there is none.
  static double percentile(List<Double> values, int percent) {
    if (values.isEmpty()) {
      return 0;
    }
    List<Double> sorted = values.stream().sorted().toList();
    int rank = (int) Math.ceil(percent / 100.0 * sorted.size());
    return sorted.get(Math.max(0, rank - 1));
  }
}
