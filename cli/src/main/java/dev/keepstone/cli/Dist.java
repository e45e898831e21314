package dev.keepstone.cli;

import dev.keepstone.cli.distribution.Distribution;
import dev.keepstone.core.json.Json;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `keepstone dist`: what is installed on nodes without a JDK and without a network.
@Command(
    name = "dist",
    header = "Make one archive that runs anywhere, and the Python wheels.",
    footer = {"", "Examples:", "  keepstone dist", "  keepstone dist --to /tmp/keepstone --json"})
final class Dist implements Verb {
  @Option(
      names = "--to",
      paramLabel = "DIR",
      description = "The folder (default: dist); files of the same names there are replaced.")
  Path to = Path.of("dist");

  @Override
  public Set<ExitCode> codes() {
    return Set.of(
        ExitCode.DONE,
        ExitCode.FAILED,
        ExitCode.USAGE,
        ExitCode.DENIED,
        ExitCode.REFUSED,
        ExitCode.NO_SPACE,
        ExitCode.INTERRUPTED);
  }

  @Override
  public Answer run(Console console) throws IOException, InterruptedException {
    List<Path> jars =
        Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
            .map(Path::of)
            .toList();
    Distribution distribution =
        new Distribution(
            Path.of(System.getProperty("keepstone.home", "")).toAbsolutePath(),
            Path.of(System.getProperty("java.home")),
            Version.number(),
            console::note);
    TreeMap<String, String> texts = new TreeMap<>(ManPages.all());
    texts.put("share/bash-completion/completions/keepstone", Completion.script());
    List<Distribution.Made> made = distribution.make(jars, texts, to);
    for (Distribution.Made file : made) {
      console.say(Units.size(file.bytes()) + "  " + file.file());
    }
    return Answer.of(Json.object().put("files", Json.array(made, Dist::json)).build());
  }

  private static Json json(Distribution.Made made) {
    return Json.object()
        .put("file", made.file().toAbsolutePath().normalize().toString())
        .put("bytes", made.bytes())
        .put("sha256", made.sha256())
        .build();
  }
}
