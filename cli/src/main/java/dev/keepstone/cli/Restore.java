package dev.keepstone.cli;

import dev.keepstone.core.convert.ConvertPlan;
import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone restore`: all of a checkpoint as plain files, tensors and state trees, without any
/// trainer.
@Command(
    name = "restore",
    header = "Write all of a checkpoint into a folder: tensors and state tree.",
    footer = {
      "",
      "Examples:",
      "  keepstone restore ckpts/gpt@latest out",
      "  keepstone restore ckpts/gpt@latest out --ranks 4"
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

  @Option(
      names = "--ranks",
      paramLabel = "N",
      description =
          "A folder for each of N ranks, with its even share of every tensor along the first"
              + " dimension.")
  @Nullable Integer ranks;

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
              console.shell().host(),
              reference,
              folder,
              new dev.keepstone.Restore.Options(
                  maxShardBytes, ranks == null ? OptionalInt.empty() : OptionalInt.of(ranks)),
              progress::set);
      progress.close();
      var fields = Copied.tell(restored.report(), folder.toString(), began, console);
      console.say(told(restored.world()));
      fields
          .put("run", restored.run())
          .put("id", restored.id().toString())
          .put("world", restored.world());
      if (ranks != null) {
        fields.put("ranks", ranks);
      }
      return Answer.of(fields.build());
    }
  }

  private String told(int world) {
    String saved = "saved by " + Units.count(world, "rank");
    if (ranks == null) {
      return saved + (world == 1 ? "" : "; tensors joined, state of rank 0");
    }
    return "%s; for %s: rows of every tensor shared evenly, scalars whole on each, state %s"
        .formatted(
            saved,
            Units.count(ranks, "rank"),
            ranks == world ? "of the same rank" : "of rank 0 on each");
  }
}
