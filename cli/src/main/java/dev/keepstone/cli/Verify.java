package dev.keepstone.cli;

import dev.keepstone.Checkpoints;
import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredTensor;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.verify.Problem;
import dev.keepstone.store.verify.VerifyReport;
import java.io.IOException;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone verify`: whether a checkpoint is what was stored, and where it is not.
@Command(
    name = "verify",
    header = "Check a checkpoint: its objects and sizes, or with --deep every byte.%n",
    footer = {
      "",
      "Examples:",
      "  keepstone verify ckpts/gpt@latest",
      "  keepstone verify ckpts/gpt@3-500 --deep --json"
    })
final class Verify implements Verb {
  /// More lines help nobody; the document has them all.
  private static final int MOST_TOLD = 20;

  private static final double NANOS = 1e9;

  @Parameters(
      paramLabel = "PATH_OR_REF",
      description = "STORE/RUN@WHICH, or a safetensors file or folder (structure only).")
  String what = "";

  @Option(names = "--deep", description = "Read every byte and check it.")
  boolean deep;

  @Override
  public Set<ExitCode> codes() {
    return EnumSet.of(
        ExitCode.DONE,
        ExitCode.FAILED,
        ExitCode.USAGE,
        ExitCode.DENIED,
        ExitCode.NOT_FOUND,
        ExitCode.INTEGRITY,
        ExitCode.REFUSED,
        ExitCode.UNSUPPORTED,
        ExitCode.INTERRUPTED);
  }

  @Override
  public Answer run(Console console) throws IOException {
    Optional<Reference> reference = Reference.find(what, console.shell().host().disk());
    long began = console.shell().host().clock().nanos();
    VerifyReport report =
        reference.isPresent() ? stored(reference.get(), console) : foreign(console);
    double seconds = (console.shell().host().clock().nanos() - began) / NANOS;
    Json.Obj fields = json(report, seconds);
    if (report.ok()) {
      console.say(
          (report.deep() ? "every byte verified: " : "structure verified: ")
              + Units.count(report.files(), "file")
              + ", "
              + Units.size(report.bytes())
              + String.format(Locale.ROOT, " in %.1f s", seconds));
      return Answer.of(fields);
    }
    report.problems().stream().limit(MOST_TOLD).forEach(problem -> tell(problem, console));
    return new Answer(
        fields,
        new KeepstoneException.Integrity(
            Units.count(report.problems().size(), "problem"),
            what,
            reference.isPresent()
                ? "restore another checkpoint (keepstone ls), or bring back a good copy of the"
                    + " files"
                : "bring back a good copy of the file"));
  }

  private VerifyReport stored(Reference reference, Console console) {
    Run run = Store.open(console.shell().host(), reference.store()).run(reference.run());
    CheckpointId id = run.lookDecided(console.shell().host().clock()).find(reference.which());
    if (!deep) {
      return dev.keepstone.store.verify.Verify.quick(run, id);
    }
    long total = run.manifest(id).summary().bytes();
    try (Progress progress = console.progress("verifying")) {
      return dev.keepstone.store.verify.Verify.deep(run, id, done -> progress.set(done, total));
    }
  }

  /// What lies in no store has no checksums: its structure, which opening it checks, is all.
  private VerifyReport foreign(Console console) throws IOException {
    if (deep) {
      console.note("there are no checksums outside of a store: only structure is checked");
    }
    try (CheckpointView view = Checkpoints.open(console.shell().host(), what)) {
      Set<String> files = new HashSet<>();
      long bytes = 0;
      for (StoredTensor tensor : view.tensors()) {
        tensor.pieces().forEach(piece -> files.add(piece.file()));
        bytes += tensor.tensor().byteLength();
      }
      return new VerifyReport(false, Math.max(1, files.size()), bytes, List.of());
    } catch (KeepstoneException.Integrity e) {
      Problem problem =
          new Problem(
              e.on(), null, null, null, Problem.Kind.HEADER, "a sound safetensors file", e.what());
      return new VerifyReport(false, 1, 0, List.of(problem));
    }
  }

  private static void tell(Problem problem, Console console) {
    Long offset = problem.offset();
    Long length = problem.length();
    String where =
        offset == null || length == null || length == 0
            ? ""
            : ": bytes " + offset + ".." + (offset + length - 1);
    console.say(problem.file() + where + ": " + problem.kind().text());
    if (problem.tensor() != null) {
      console.say("  in tensor   " + problem.tensor());
    }
    console.say("  expected    " + problem.expected());
    console.say("  found       " + problem.found());
  }

  private static Json.Obj json(VerifyReport report, double seconds) {
    return Json.object()
        .put("deep", report.deep())
        .put("files", report.files())
        .put("bytes", report.bytes())
        .put("seconds", seconds)
        .put("problems", Json.array(report.problems().stream().map(Verify::json).toList()))
        .build();
  }

  private static Json.Obj json(Problem problem) {
    Json.Builder fields = Json.object().put("file", problem.file());
    if (problem.tensor() != null) {
      fields.put("tensor", problem.tensor());
    }
    Long offset = problem.offset();
    if (offset != null) {
      fields.put("offset", offset);
    }
    Long length = problem.length();
    if (length != null) {
      fields.put("length", length);
    }
    return fields
        .put("kind", problem.kind().text())
        .put("expected", problem.expected())
        .put("found", problem.found())
        .build();
  }
}
