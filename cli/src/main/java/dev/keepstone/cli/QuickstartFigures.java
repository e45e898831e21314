package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import java.util.List;

/// What the saves of a quickstart cost, in milliseconds.
///
/// @param durable50 without the checkpoint whose drain was slowed on purpose
/// @param copy50 a memory copy of the same bytes
/// @param write50 a write of the same bytes to a new file, with a sync
record QuickstartFigures(
    double stall50,
    double stall99,
    double stallMax,
    double durable50,
    double durableMax,
    double copy50,
    double write50,
    long bytes) {
  static QuickstartFigures of(QuickstartLedger ledger, String slowed) {
    List<QuickstartLedger.Save> saves = ledger.saves();
    List<Double> stalls = saves.stream().map(QuickstartLedger.Save::stallMillis).toList();
    List<Double> durable =
        saves.stream()
            .filter(save -> !save.id().equals(slowed))
            .flatMap(save -> ledger.durableMillis(save.id()).stream())
            .toList();
    return new QuickstartFigures(
        QuickstartLedger.percentile(stalls, 50),
        QuickstartLedger.percentile(stalls, 99),
        QuickstartLedger.percentile(stalls, 100),
        QuickstartLedger.percentile(durable, 50),
        QuickstartLedger.percentile(durable, 100),
        QuickstartLedger.percentile(
            saves.stream().map(QuickstartLedger.Save::copyMillis).toList(), 50),
        QuickstartLedger.percentile(
            saves.stream().map(QuickstartLedger.Save::writeMillis).toList(), 50),
        saves.getLast().bytes());
  }

  Json.Obj stall() {
    return Json.object().put("p50", stall50).put("p99", stall99).put("max", stallMax).build();
  }

  Json.Obj durable() {
    return Json.object().put("p50", durable50).put("max", durableMax).build();
  }

  /// Medians of what the same bytes cost otherwise.
  Json.Obj sameBytes() {
    return Json.object().put("memory_copy", copy50).put("write_fsync", write50).build();
  }
}
