package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.Plan;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// One line of what `prune`, `gc` and `undo` are about to do.
///
/// @param id null for what belongs to no checkpoint
/// @param file in the store, where it is about one file and not about a checkpoint
/// @param reasons at least one
/// @param bytes that it takes
/// @param when its bytes may be freed; null where it stays
record Planned(
    @Nullable CheckpointId id,
    @Nullable String file,
    Plan.Action action,
    List<String> reasons,
    long bytes,
    @Nullable Instant when) {
  static Planned of(Plan.Entry entry, Instant freed) {
    return new Planned(
        entry.id(),
        null,
        entry.action(),
        entry.reasons(),
        entry.bytes(),
        entry.action() == Plan.Action.DELETE ? freed : null);
  }

  boolean goes() {
    return action == Plan.Action.DELETE;
  }

  Json.Obj json() {
    Json.Builder fields = Json.object();
    if (id == null) {
      fields.put("id", Json.NULL).put("step", Json.NULL);
    } else {
      fields.put("id", id.toString()).put("step", id.step());
    }
    return fields
        .put("file", file)
        .put("action", goes() ? "delete" : "keep")
        .put("reasons", Json.array(reasons.stream().map(Json::of).toList()))
        .put("bytes", bytes)
        .put("tier", "local")
        .put("when", when == null ? null : when.toString())
        .build();
  }

  static Json json(List<Planned> plan) {
    return Json.array(plan, Planned::json);
  }

  static long bytes(List<Planned> plan) {
    return plan.stream().filter(Planned::goes).mapToLong(Planned::bytes).sum();
  }

  /// The plan as a table, what goes first.
  static void tell(List<Planned> plan, Instant now, Console console) {
    Table table =
        new Table(console.columns(), "  ", "", "id or file", "size>", "freed>", "because");
    List<Planned> goFirst = new ArrayList<>(plan.stream().filter(Planned::goes).toList());
    plan.stream().filter(one -> !one.goes()).forEach(goFirst::add);
    for (Planned one : goFirst) {
      Instant when = one.when;
      table.row(
          one.goes() ? "delete" : "keep",
          one.id != null && one.file == null ? one.id.toString() : String.valueOf(one.file),
          Units.size(one.bytes),
          when == null
              ? ""
              : when.isAfter(now) ? "in " + Units.duration(Duration.between(now, when)) : "now",
          String.join(", ", one.reasons));
    }
    table.lines().forEach(console::say);
  }
}
