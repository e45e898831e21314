package dev.keepstone.cli;

import dev.keepstone.cli.doctor.Finding;
import dev.keepstone.cli.doctor.NodeChecks;
import dev.keepstone.cli.doctor.StoreChecks;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone doctor`: whether this node, and a store, will do.
@Command(
    name = "doctor",
    header = "Look at this node and a store, and say what to change.",
    footer = {
      "",
      "Examples:",
      "  keepstone doctor",
      "  keepstone doctor /mnt/nfs/ckpts --needs 30GiB"
    })
final class Doctor implements Verb {
  /// Where what was found begins, after the verdict and the check.
  private static final int INDENT = 26;

  @Parameters(
      arity = "0..1",
      paramLabel = "STORE",
      description = "A folder that is, or is to be, a store; files made there go again.")
  @Nullable Path store;

  @Option(
      names = "--needs",
      paramLabel = "SIZE",
      converter = SizeOption.class,
      description = "Training state of this node's ranks, as in 30GiB.")
  @Nullable Long needs;

  @Override
  public Set<ExitCode> codes() {
    return Set.of(ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE, ExitCode.DENIED);
  }

  @Override
  public Answer run(Console console) throws IOException {
    Shell shell = console.shell();
    long bytes = needs == null ? 0 : needs;
    List<Finding> findings =
        new ArrayList<>(
            new NodeChecks(shell.environment(), shell.host().disk(), bytes, Units::size).all());
    if (store != null) {
      findings.addAll(
          new StoreChecks(
                  shell.host().disk(),
                  store.toAbsolutePath().normalize(),
                  shell.host().nonce(),
                  shell.clock().instant(),
                  Units::size)
              .all(bytes));
    }
    findings.forEach(finding -> tell(finding, console));
    Json.Obj fields = Json.object().put("findings", Json.array(findings, Doctor::json)).build();
    List<Finding> failed =
        findings.stream().filter(finding -> finding.verdict() == Finding.Verdict.FAIL).toList();
    if (failed.isEmpty()) {
      return Answer.of(fields);
    }
    Finding first = failed.getFirst();
    return new Answer(
        fields,
        new KeepstoneException.Failed(
            first.check() + ": " + first.found(),
            store == null ? "this node" : store.toString(),
            first.next() == null ? "see above" : first.next(),
            null));
  }

  private static void tell(Finding finding, Console console) {
    List<String> lines = wrapped(finding.found(), console.columns() - INDENT);
    console.say("%-5s %-18s  ".formatted(word(finding), finding.check()) + lines.getFirst());
    lines.stream().skip(1).forEach(line -> console.say(" ".repeat(INDENT) + line));
    if (finding.next() != null) {
      for (String line : wrapped(finding.next(), console.columns() - INDENT - 2)) {
        console.say(" ".repeat(INDENT) + "  " + line);
      }
    }
  }

  /// Lines of at most so many characters, broken at spaces; a longer word stands alone.
  private static List<String> wrapped(String text, int columns) {
    List<String> lines = new ArrayList<>();
    StringBuilder line = new StringBuilder();
    for (String word : text.split(" ")) {
      if (!line.isEmpty() && line.length() + 1 + word.length() > columns) {
        lines.add(line.toString());
        line.setLength(0);
      }
      line.append(line.isEmpty() ? "" : " ").append(word);
    }
    lines.add(line.toString());
    return lines;
  }

  private static String word(Finding finding) {
    return finding.verdict().name().toLowerCase(Locale.ROOT);
  }

  private static Json json(Finding finding) {
    return Json.object()
        .put("check", finding.check())
        .put("verdict", word(finding))
        .put("found", finding.found())
        .put("next", finding.next())
        .build();
  }
}
