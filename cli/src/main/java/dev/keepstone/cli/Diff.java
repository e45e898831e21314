package dev.keepstone.cli;

import dev.keepstone.Checkpoints;
import dev.keepstone.core.convert.Selection;
import dev.keepstone.core.diff.DiffReport;
import dev.keepstone.core.diff.DiffReport.Changed;
import dev.keepstone.core.diff.DiffReport.Kind;
import dev.keepstone.core.diff.DiffReport.Named;
import dev.keepstone.core.diff.DiffReport.Numbers;
import dev.keepstone.core.diff.DiffReport.StateChange;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone diff`: what differs between two checkpoints of any format.
@Command(
    name = "diff",
    header = "Compare two checkpoints of any format: names, types, values, state.",
    footer = {
      "",
      "Examples:",
      "  keepstone diff ckpts/gpt@latest~1 ckpts/gpt@latest",
      "  keepstone diff ckpts/gpt@best model.safetensors --only '*.weight'"
    })
final class Diff implements Verb {
  private static final double NANOS = 1e9;

  @Parameters(index = "0", paramLabel = "A", description = "STORE/RUN@WHICH, or a file or folder.")
  String left = "";

  @Parameters(index = "1", paramLabel = "B", description = "What it is compared with.")
  String right = "";

  @Option(
      names = "--only",
      paramLabel = "GLOB",
      description =
          "Only tensors whose name matches (* for any characters, ? for one); may be repeated."
              + " State is not compared then.")
  List<String> only = List.of();

  @Option(
      names = "--most",
      paramLabel = "N",
      defaultValue = "40",
      description = "Lines per kind of difference (default: ${DEFAULT-VALUE}); --json has all.")
  int most;

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading(ExitCode.OTHER, ExitCode.INTERRUPTED);
  }

  /// One means that there are differences.
  @Override
  public ExitCode failed() {
    return ExitCode.OTHER;
  }

  @Override
  public Answer run(Console console) throws IOException {
    Selection selection = new Selection(only, List.of());
    long began = console.shell().host().clock().nanos();
    try (CheckpointView a = Checkpoints.open(console.shell().host(), left);
        CheckpointView b = Checkpoints.open(console.shell().host(), right);
        Progress progress = console.progress("comparing")) {
      DiffReport report = dev.keepstone.core.diff.Diff.of(a, b, selection, progress::set);
      progress.close();
      double seconds = (console.shell().host().clock().nanos() - began) / NANOS;
      tell(report, seconds, console);
      return new Answer(
          json(report, seconds), null, report.equal() ? ExitCode.DONE : ExitCode.FAILED);
    }
  }

  private void tell(DiffReport report, double seconds, Console console) {
    if (console.json()) {
      return;
    }
    if (!report.stateCompared()) {
      console.note(
          only.isEmpty()
              ? "one side has no state tree: tensors alone are compared"
              : "state is not compared with --only");
    }
    console.say(summary(report, seconds));
    tables(report, console)
        .forEach(lines -> {
          if (!lines.isEmpty()) {
            console.say("");
            lines.forEach(console::say);
          }
        });
  }

  private static String summary(DiffReport report, double seconds) {
    String took = String.format(Locale.ROOT, ", %s in %.1f s", Units.size(report.bytes()), seconds);
    if (report.equal()) {
      return "equal: " + Units.count(report.unchanged(), "tensor") + took;
    }
    List<String> counts = new ArrayList<>();
    count(counts, report.changed().size(), "changed");
    count(counts, report.added().size(), "added");
    count(counts, report.removed().size(), "removed");
    count(counts, report.renamed().size(), "renamed");
    count(counts, report.unchanged(), "unchanged");
    String state =
        report.state().isEmpty()
            ? ""
            : ", " + Units.count(report.state().size(), "difference") + " of state";
    return (counts.isEmpty() ? "no tensors" : "tensors: " + String.join(", ", counts))
        + state
        + took;
  }

  private static void count(List<String> counts, long number, String what) {
    if (number > 0) {
      counts.add(Units.count(number) + " " + what);
    }
  }

  private Stream<List<String>> tables(DiffReport report, Console console) {
    int columns = console.columns();
    Table values =
        new Table(columns, "", "max abs>", "rel L2>", "cosine>", "nonfinite>", "changed tensor");
    List<Changed> ofValues =
        report.changed().stream().filter(change -> change.kind() == Kind.VALUES).toList();
    for (Changed change : firsts(ofValues)) {
      List<String> cells = new ArrayList<>(numbers(change.numbers()));
      cells.add(change.a().text());
      values.row(cells.toArray(String[]::new));
    }
    List<Changed> ofForm =
        report.changed().stream().filter(change -> change.kind() != Kind.VALUES).toList();
    Table forms = new Table(columns, "", "before", "after", "rel L2>", "tensor of another form");
    for (Changed change : firsts(ofForm)) {
      forms.row(
          form(change.a().tensor()),
          form(change.b().tensor()),
          numbers(change.numbers()).get(1),
          change.a().text());
    }
    return Stream.of(
        more(forms, ofForm.size()),
        more(values, ofValues.size()),
        named("removed", report.removed(), columns),
        named("added", report.added(), columns),
        renamed(report, columns),
        state(report, columns));
  }

  private <T> List<T> firsts(List<T> all) {
    return all.subList(0, Math.min(all.size(), Math.max(0, most)));
  }

  private List<String> more(Table table, int all) {
    return more(table.lines(), all);
  }

  private List<String> more(List<String> lines, int all) {
    List<String> told = new ArrayList<>(lines);
    if (all > Math.max(0, most)) {
      told.add("… " + Units.count(all - Math.max(0, most)) + " more: --most, or --json");
    }
    return told;
  }

  private List<String> named(String what, List<Named> tensors, int columns) {
    Table table = new Table(columns, "", "dtype", "size>", "shape", what);
    for (Named named : firsts(tensors)) {
      Tensor tensor = named.tensor();
      table.row(
          tensor.dtype().name(),
          Units.size(tensor.byteLength()),
          tensor.shape().toString(),
          named.text());
    }
    return more(table, tensors.size());
  }

  private List<String> renamed(DiffReport report, int columns) {
    List<String> lines = new ArrayList<>();
    for (DiffReport.Renamed renamed : firsts(report.renamed())) {
      lines.add(Table.cut("renamed  " + renamed.from().text(), columns));
      lines.add(Table.cut("     to  " + renamed.to().text(), columns));
    }
    return more(lines, report.renamed().size());
  }

  private List<String> state(DiffReport report, int columns) {
    List<String> lines = new ArrayList<>();
    for (StateChange change : firsts(report.state())) {
      lines.add(Table.cut(change.path(), columns));
      lines.add(Table.cut("  " + value(change.a()) + " → " + value(change.b()), columns));
    }
    return more(lines, report.state().size());
  }

  private static String value(@Nullable Json value) {
    String text = value == null ? "nothing" : JsonWriter.compact(value);
    // Both sides of the arrow want to be seen.
    return Table.cut(text, 34);
  }

  private static String form(Tensor tensor) {
    return tensor.dtype().name() + tensor.shape();
  }

  private static List<String> numbers(@Nullable Numbers numbers) {
    return numbers == null
        ? List.of("-", "-", "-", "-")
        : List.of(
            number(numbers.maxAbs(), "%.3g"),
            number(numbers.relL2(), "%.3g"),
            number(numbers.cosine(), "%.6f"),
            numbers.nonfiniteA() + "/" + numbers.nonfiniteB());
  }

  private static String number(@Nullable Double value, String format) {
    return value == null ? "-" : String.format(Locale.ROOT, format, value);
  }

  private static Json.Obj json(DiffReport report, double seconds) {
    return Json.object()
        .put("equal", report.equal())
        .put("added", Json.array(report.added().stream().map(Diff::json).toList()))
        .put("removed", Json.array(report.removed().stream().map(Diff::json).toList()))
        .put(
            "renamed",
            Json.array(
                report.renamed().stream()
                    .map(renamed ->
                        Json.object()
                            .put("from", renamed.from().tensor().name())
                            .put("to", renamed.to().tensor().name())
                            .put("component", orNull(renamed.from().component()))
                            .put("to_component", orNull(renamed.to().component()))
                            .build())
                    .toList()))
        .put("changed", Json.array(report.changed().stream().map(Diff::json).toList()))
        .put("unchanged", report.unchanged())
        .put("state", Json.array(report.state().stream().map(Diff::json).toList()))
        .put("state_compared", report.stateCompared())
        .put("bytes", report.bytes())
        .put("seconds", seconds)
        .build();
  }

  private static @Nullable String orNull(String component) {
    return component.isEmpty() ? null : component;
  }

  private static Json.Obj json(Named named) {
    return Json.object()
        .put("component", orNull(named.component()))
        .put("name", named.tensor().name())
        .put("dtype", named.tensor().dtype().name())
        .put("shape", Json.integers(named.tensor().shape().extents()))
        .put("bytes", named.tensor().byteLength())
        .build();
  }

  private static Json.Obj json(Changed changed) {
    Numbers numbers = changed.numbers();
    return Json.object()
        .put("component", orNull(changed.a().component()))
        .put("name", changed.a().tensor().name())
        .put("kind", changed.kind().name().toLowerCase(Locale.ROOT))
        .put("max_abs", real(numbers == null ? null : numbers.maxAbs()))
        .put("rel_l2", real(numbers == null ? null : numbers.relL2()))
        .put("cosine", real(numbers == null ? null : numbers.cosine()))
        .put("nonfinite_a", numbers == null ? Json.NULL : Json.of(numbers.nonfiniteA()))
        .put("nonfinite_b", numbers == null ? Json.NULL : Json.of(numbers.nonfiniteB()))
        .put("a", json(changed.a()))
        .put("b", json(changed.b()))
        .build();
  }

  private static Json real(@Nullable Double value) {
    return value == null ? Json.NULL : Json.of(value);
  }

  private static Json.Obj json(StateChange change) {
    Json.Builder fields = Json.object().put("path", change.path());
    // An absent field is nothing; a null is Python's None.
    if (change.a() instanceof Json value) {
      fields.put("a", value);
    }
    if (change.b() instanceof Json value) {
      fields.put("b", value);
    }
    return fields.build();
  }
}
