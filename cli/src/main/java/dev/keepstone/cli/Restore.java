package dev.keepstone.cli;

import dev.keepstone.core.convert.ConvertPlan;
import java.nio.file.Path;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone restore`: all of a checkpoint as plain files, tensors and state tree.
@Command(
    name = "restore",
    header = "Write all of a checkpoint into a folder: tensors and state tree.",
    footer = {
      "",
      "Examples:",
      "  keepstone restore ckpts/gpt@latest out",
      "  keepstone restore ckpts/gpt@3-500 out --max-shard-size 2GiB"
    })
final class Restore implements Verb {
  @Parameters(index = "0", paramLabel = "REF", description = "STORE/RUN@WHICH.")
  String reference = "";

  @Parameters(index = "1", paramLabel = "DIR", description = "A folder; must be free.")
  Path folder = Path.of("");

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
    try (Progress progress = console.progress("restoring")) {
      dev.keepstone.Restore.Report restored =
          dev.keepstone.Restore.run(
              console.shell().host(), reference, folder, maxShardBytes, progress::set);
      progress.close();
      var fields = Copied.tell(restored.report(), folder.toString(), began, console);
      return Answer.of(
          fields.put("run", restored.run()).put("id", restored.id().toString()).build());
    }
  }
}
