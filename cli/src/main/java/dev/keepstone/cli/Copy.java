package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// `keepstone copy`: a checkpoint with all it needs goes into another store.
@Command(
    name = "copy",
    header = "Copy a checkpoint into another store, every byte checked on the way.",
    footer = {
      "",
      "Examples:",
      "  keepstone copy ckpts/gpt@latest /mnt/backup/ckpts",
      "  keepstone copy /mnt/backup/ckpts/gpt@3-500 ckpts"
    })
final class Copy implements Verb {
  private static final double NANOS = 1e9;

  @Parameters(index = "0", paramLabel = "REF", description = "STORE/RUN@WHICH.")
  String source = "";

  @Parameters(
      index = "1",
      paramLabel = "STORE[/RUN]",
      description =
          "Where to; the run keeps its name unless one is given. What an interrupted copy left is"
              + " kept, what is damaged there is replaced.")
  String target = "";

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading(ExitCode.NO_SPACE, ExitCode.UNKNOWN, ExitCode.INTERRUPTED);
  }

  @Override
  public Answer run(Console console) throws IOException {
    long began = console.shell().host().clock().nanos();
    dev.keepstone.Copy.Report report;
    try (Progress progress = console.progress("copying")) {
      report = dev.keepstone.Copy.run(console.shell().host(), source, target, progress::set);
    }
    double seconds = (console.shell().host().clock().nanos() - began) / NANOS;
    report.warnings().forEach(console::note);
    String id = report.ids().getLast().toString();
    String kept =
        report.keptBytes() == 0 ? "" : ", " + Units.size(report.keptBytes()) + " were there";
    console.say(
        "copied "
            + report.run()
            + "@"
            + id
            + ": "
            + Units.size(report.bytes())
            + kept
            + String.format(Locale.ROOT, " in %.1f s", seconds));
    List<String> besides =
        report.ids().stream().map(Object::toString).filter(other -> !other.equals(id)).toList();
    if (!besides.isEmpty()) {
      console.say("with " + String.join(" ", besides) + ", whose shards it uses");
    }
    return Answer.of(
        Json.object()
            .put("run", report.run())
            .put("id", id)
            .put("with", Json.array(besides.stream().map(Json::of).toList()))
            .put("files", report.files())
            .put("bytes", report.bytes())
            .put("kept_bytes", report.keptBytes())
            .put("facts", report.facts())
            .put("seconds", seconds)
            .put("warnings", Json.array(report.warnings().stream().map(Json::of).toList()))
            .build());
  }
}
