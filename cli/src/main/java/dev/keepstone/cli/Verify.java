package dev.keepstone.cli;

import dev.keepstone.Checkpoints;
import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.format.torch.TorchView;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredTensor;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.verify.Problem;
import dev.keepstone.store.verify.VerifyReport;
import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone verify`: whether a checkpoint is what was stored, and where it is not.
@Command(
    name = "verify",
    header = "Check checkpoints: objects and sizes, or with --deep every byte.",
    footer = {
      "",
      "Examples:",
      "  keepstone verify ckpts/gpt@3-500 --deep",
      "  keepstone verify ckpts --scrub --limit-rate 50MiB"
    })
final class Verify implements Verb {
  /// More lines help nobody; the document has them all.
  private static final int MOST_TOLD = 20;

  private static final double NANOS = 1e9;

  @Parameters(
      paramLabel = "PATH_OR_REF",
      description =
          "STORE/RUN@WHICH; STORE or STORE/RUN for all in it; or a foreign file or folder: its"
              + " structure, and with --deep its checksums where the format has some.")
  String what = "";

  @Option(names = "--deep", description = "Read every byte and check it.")
  boolean deep;

  @Option(names = "--scrub", description = "--deep for all in it, least recently verified first.")
  boolean scrub;

  @Option(
      names = "--limit-rate",
      paramLabel = "SIZE",
      converter = SizeOption.class,
      description = "Bytes to read per second, at most.")
  @Nullable Long limitRate;

  @Option(
      names = "--no-record",
      description =
          "Write no verdict into the store. A bad one quarantines a checkpoint, which is then"
              + " never latest; a good one with --deep lifts that.")
  boolean noRecord;

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading(ExitCode.INTERRUPTED);
  }

  @Override
  public Answer run(Console console) throws IOException {
    deep |= scrub;
    Optional<Reference> reference = Reference.find(what, console.shell().host().disk());
    long began = console.shell().host().clock().nanos();
    if (reference.isEmpty()) {
      return foreign(console, began);
    }
    StoreVerification verification =
        new StoreVerification(console, deep, scrub, limitRate == null ? 0 : limitRate, !noRecord);
    List<Verified> all = verification.verify(reference.get(), namesOne());
    VerifyReport report = Verified.together(all, verification.besides(), deep);
    Json.Obj fields =
        json(report, began, console)
            .put("checkpoints", Json.array(all.stream().map(Verified::json).toList()))
            .build();
    if (report.ok()) {
      done(report, all.size(), fields, console);
      return Answer.of(fields);
    }
    tell(report, console);
    List<String> bad = all.stream().filter(one -> !one.report().ok()).map(Verified::name).toList();
    if (all.stream().anyMatch(Verified::quarantined)) {
      console.say("quarantined, so never latest: " + String.join(" ", bad));
    }
    return new Answer(
        fields,
        new KeepstoneException.Integrity(
            Units.count(report.problems().size(), "problem"),
            bad.size() == 1 ? bad.getFirst() : what,
            "restore takes the one before; keepstone copy <other store>/… brings back a good"
                + " copy"));
  }

  /// Whether a checkpoint is named, and not a run or store.
  private boolean namesOne() {
    int at = what.lastIndexOf('@');
    return at >= 0 && what.indexOf('/', at) < 0;
  }

  private static void done(VerifyReport report, int checkpoints, Json.Obj fields, Console console) {
    console.say(
        (report.deep() ? "every byte verified: " : "structure verified: ")
            + (checkpoints == 1 ? "" : Units.count(checkpoints, "checkpoint") + ", ")
            + Units.count(report.files(), "file")
            + ", "
            + Units.size(report.bytes())
            + String.format(Locale.ROOT, " in %.1f s", fields.real("seconds")));
  }

  private static void tell(VerifyReport report, Console console) {
    report.problems().stream().limit(MOST_TOLD).forEach(problem -> tell(problem, console));
    int more = report.problems().size() - MOST_TOLD;
    if (more > 0) {
      console.say("… " + Units.count(more, "more problem") + ": --json has all");
    }
  }

  /// What lies in no store: its structure, which opening it checks, and the checksums of an
  /// archive.
  private Answer foreign(Console console, long began) throws IOException {
    try (CheckpointView view = Checkpoints.open(console.shell().host(), what)) {
      Set<String> files = new HashSet<>();
      long bytes = 0;
      for (StoredTensor tensor : view.tensors()) {
        tensor.pieces().forEach(piece -> files.add(piece.file()));
        bytes += tensor.tensor().byteLength();
      }
      Optional<List<TorchView.Damage>> damages =
          deep && view instanceof TorchView torch ? torch.damages() : Optional.empty();
      if (deep && damages.isEmpty()) {
        console.note("the format has no checksums: only structure is checked");
      }
      List<Problem> problems =
          damages.orElse(List.of()).stream().map(damage -> problem(what, damage)).toList();
      return foreign(
          new VerifyReport(damages.isPresent(), Math.max(1, files.size()), bytes, problems),
          began,
          console);
    } catch (KeepstoneException.Integrity e) {
      Problem problem =
          new Problem(e.on(), null, null, null, Problem.Kind.HEADER, "a sound file", e.what());
      return foreign(new VerifyReport(false, 1, 0, List.of(problem)), began, console);
    }
  }

  private static Problem problem(String file, TorchView.Damage damage) {
    return new Problem(
        file + ", record " + damage.name(),
        null,
        damage.offset(),
        damage.bytes(),
        Problem.Kind.CHECKSUM,
        Crc32.hex(damage.expected()),
        Crc32.hex(damage.found()));
  }

  private Answer foreign(VerifyReport report, long began, Console console) {
    Json.Obj fields =
        json(report, began, console).put("checkpoints", Json.array(List.of())).build();
    if (report.ok()) {
      done(report, 1, fields, console);
      return Answer.of(fields);
    }
    tell(report, console);
    return new Answer(
        fields,
        new KeepstoneException.Integrity(
            Units.count(report.problems().size(), "problem"),
            what,
            "bring back a good copy of the file"));
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

  private static Json.Builder json(VerifyReport report, long began, Console console) {
    return Json.object()
        .put("deep", report.deep())
        .put("files", report.files())
        .put("bytes", report.bytes())
        .put("seconds", (console.shell().host().clock().nanos() - began) / NANOS)
        .put("problems", Json.array(report.problems().stream().map(Verify::json).toList()));
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
