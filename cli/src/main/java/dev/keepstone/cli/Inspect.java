package dev.keepstone.cli;

import dev.keepstone.Checkpoints;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredPiece;
import dev.keepstone.core.view.StoredTensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone inspect`: the tensors of any checkpoint and where they lie, without reading them.
@Command(
    name = "inspect",
    header = "List the tensors of any checkpoint, without reading a tensor byte.",
    footer = {
      "",
      "Examples:",
      "  keepstone inspect ckpts/gpt@latest",
      "  keepstone inspect training.pt --strict-pickle"
    })
final class Inspect implements Verb {
  @Parameters(
      paramLabel = "PATH_OR_REF",
      description = "STORE/RUN@WHICH, or a foreign file or folder, told by its content.")
  String what = "";

  @Option(
      names = "--strict-pickle",
      description = "Refuse a pickle with objects of unknown classes, which are opaque otherwise.")
  boolean strictPickle;

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading();
  }

  @Override
  public Answer run(Console console) throws IOException {
    try (CheckpointView view = Checkpoints.open(console.shell().host(), what, strictPickle)) {
      tell(view, console);
      Json.Builder metadata = Json.object();
      view.metadata().forEach(metadata::put);
      return Answer.of(
          Json.object()
              .put("format", view.format())
              .put("tensors", Json.array(view.tensors().stream().map(Inspect::json).toList()))
              .put("state", view.state().<Json>map(state -> state).orElse(Json.NULL))
              .put("metadata", metadata.build())
              .build());
    }
  }

  private static Json.Obj json(StoredTensor stored) {
    Tensor tensor = stored.tensor();
    Json.Builder fields = Json.object();
    if (!stored.component().isEmpty()) {
      fields.put("component", stored.component());
    }
    fields
        .put("name", tensor.name())
        .put("dtype", tensor.dtype().name())
        .put("shape", Json.integers(tensor.shape().extents()))
        .put("bytes", tensor.byteLength());
    if (isWhole(stored)) {
      StoredPiece piece = stored.pieces().getFirst();
      fields.put("file", piece.file()).put("offset", piece.fileOffset());
    } else {
      fields.put("pieces", stored.pieces().size());
    }
    return fields.build();
  }

  private static boolean isWhole(StoredTensor stored) {
    return stored.pieces().size() == 1
        && stored.pieces().getFirst().slice().covers(stored.tensor().shape());
  }

  private static void tell(CheckpointView view, Console console) {
    if (console.json()) {
      return;
    }
    long bytes = view.tensors().stream().mapToLong(stored -> stored.tensor().byteLength()).sum();
    console.say(
        view.format()
            + " · "
            + Units.count(view.tensors().size(), "tensor")
            + " · "
            + Units.size(bytes));
    Table table = new Table(console.columns(), "", "dtype", "size>", "shape", "tensor");
    for (StoredTensor stored : view.tensors()) {
      List<String> extents = new ArrayList<>();
      stored.tensor().shape().extents().forEach(extent -> extents.add(extent.toString()));
      table.row(
          stored.tensor().dtype().name(),
          Units.size(stored.tensor().byteLength()),
          "[" + String.join(", ", extents) + "]",
          (stored.component().isEmpty() ? "" : stored.component() + ": ") + stored.tensor().name());
    }
    table.lines().forEach(console::say);
    view.metadata().forEach((key, value) -> console.say("metadata " + key + ": " + value));
    Map<String, Integer> opaque = new TreeMap<>();
    view.state().ifPresent(state -> countOpaque(state, opaque));
    opaque.forEach((type, count) ->
        console.say("opaque   " + type + (count == 1 ? "" : " (" + Units.count(count) + ")")));
  }

  /// Counts the objects of a state tree of which no more is known than their class.
  private static void countOpaque(Json json, Map<String, Integer> counts) {
    switch (json) {
      case Json.Obj object -> {
        if (object.get("~") instanceof Json.Text(String word)
            && word.equals("opaque")
            && object.get("type") instanceof Json.Text(String type)) {
          counts.merge(type, 1, Integer::sum);
        }
        object.fields().values().forEach(field -> countOpaque(field, counts));
      }
      case Json.Array(List<Json> values) -> values.forEach(value -> countOpaque(value, counts));
      case Json.Null _, Json.Bool _, Json.Int _, Json.Big _, Json.Real _, Json.Text _ -> {}
    }
  }
}
