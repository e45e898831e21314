package dev.keepstone.cli;

import dev.keepstone.core.convert.ConvertPlan;
import dev.keepstone.core.convert.ConvertReport;
import dev.keepstone.core.convert.Selection;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone export`: the tensors of a checkpoint for the tools that people have.
@Command(
    name = "export",
    header = "Write a checkpoint's tensors as a safetensors file, set or folder.",
    footer = {
      "",
      "Examples:",
      "  keepstone export ckpts/gpt@latest model.safetensors",
      "  keepstone export ckpts/gpt@3-500 out --max-shard-size 2GiB"
    })
final class Export implements Verb {
  @Parameters(index = "0", paramLabel = "REF", description = "STORE/RUN@WHICH, or a path.")
  String reference = "";

  @Parameters(
      index = "1",
      paramLabel = "DST",
      description = "A file NAME.safetensors, or a folder; must be free.")
  Path target = Path.of("");

  @Option(
      names = "--component",
      paramLabel = "NAME",
      description = "Whose tensors (default: model, or the only one).")
  @Nullable String component;

  @Option(names = "--include", paramLabel = "GLOB", description = "Only tensors of such names.")
  List<String> include = List.of();

  @Option(names = "--exclude", paramLabel = "GLOB", description = "No tensors of such names.")
  List<String> exclude = List.of();

  @Option(
      names = "--max-shard-size",
      paramLabel = "SIZE",
      converter = SizeOption.class,
      description = "Tensor bytes per file of a set (default: 5GB).")
  long maxShardBytes = ConvertPlan.DEFAULT_MAX_SHARD_BYTES;

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading(ExitCode.NO_SPACE, ExitCode.INTERRUPTED);
  }

  @Override
  public Answer run(Console console) {
    long began = console.shell().host().clock().nanos();
    try (Progress progress = console.progress("exporting")) {
      ConvertReport report =
          dev.keepstone.Export.run(
              console.shell().host(),
              reference,
              target,
              new dev.keepstone.Export.Options(
                  Optional.ofNullable(component), new Selection(include, exclude), maxShardBytes),
              progress::set);
      progress.close();
      return Answer.of(Copied.tell(report, target.toString(), began, console).build());
    }
  }
}
