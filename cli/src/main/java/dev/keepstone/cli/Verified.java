package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.verify.Problem;
import dev.keepstone.store.verify.VerifyReport;
import java.util.ArrayList;
import java.util.List;

/// One checkpoint that was looked at.
///
/// @param quarantined whether it is by now, so that it is never the latest
record Verified(String run, CheckpointId id, VerifyReport report, boolean quarantined) {
  String name() {
    return run + "@" + id;
  }

  /// What all looks found.
  static VerifyReport together(List<Verified> all, List<Problem> besides, boolean deep) {
    List<Problem> problems = new ArrayList<>(besides);
    long files = 0;
    long bytes = 0;
    for (Verified one : all) {
      problems.addAll(one.report.problems());
      files += one.report.files();
      bytes += one.report.bytes();
    }
    return new VerifyReport(deep, files, bytes, problems);
  }

  Json.Obj json() {
    return Json.object()
        .put("run", run)
        .put("id", id.toString())
        .put("ok", report.ok())
        .put("quarantined", quarantined)
        .build();
  }
}
