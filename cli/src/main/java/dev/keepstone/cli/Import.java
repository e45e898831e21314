package dev.keepstone.cli;

import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone import`: a foreign checkpoint becomes the first one of a new run.
@Command(
    name = "import",
    header = "Copy any checkpoint into a new run of a store.",
    description = {
      "Tensors, state and the model's configuration come along. Metrics, tags, pins and",
      "history were said of the run they are from: `copy` takes them, with the run's name."
    },
    footer = {
      "",
      "Examples:",
      "  keepstone import training.pt ckpts/gpt-small --strict-pickle",
      "  keepstone import exported/ ckpts/gpt-small --step 48000"
    })
final class Import implements Verb {
  @Parameters(index = "0", paramLabel = "SRC", description = "A path, or STORE/RUN@WHICH.")
  String source = "";

  @Parameters(index = "1", paramLabel = "STORE/RUN", description = "The run, which is new.")
  String target = "";

  @Option(
      names = "--step",
      paramLabel = "N",
      description = "Its step (default: what the source says, else 0).")
  @Nullable Long step;

  @Option(
      names = "--strict-pickle",
      description = "Refuse a pickle with objects of unknown classes, which are opaque otherwise.")
  boolean strictPickle;

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading(
        ExitCode.NO_SPACE, ExitCode.FENCED, ExitCode.UNKNOWN, ExitCode.INTERRUPTED);
  }

  @Override
  public Answer run(Console console) {
    long began = console.shell().host().clock().nanos();
    dev.keepstone.Import.Options options =
        new dev.keepstone.Import.Options(
            step == null ? OptionalLong.empty() : OptionalLong.of(step), strictPickle);
    try (Progress progress = console.progress("importing")) {
      var made =
          dev.keepstone.Import.run(console.shell().host(), source, target, options, progress::set);
      progress.close();
      String name = target + "@" + made.id();
      var fields = Copied.tell(made.report(), name, began, console);
      String run = target.substring(target.lastIndexOf('/') + 1);
      return Answer.of(fields.put("run", run).put("id", made.id().toString()).build());
    }
  }
}
