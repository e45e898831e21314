package dev.keepstone.cli;

import dev.keepstone.Host;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/// The run from which the JVM learns what the command loads: `./keepstone` calls it once per build
/// and JDK. It does what people do most, in an empty folder.
final class Training {
  private Training() {}

  public static void main(String[] args) {
    Path folder = Path.of(args[0]);
    PrintStream nowhere =
        new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8);
    Shell shell =
        new Shell(
            nowhere,
            nowhere,
            false,
            false,
            80,
            Map.of("KEEPSTONE_AGENT_DIR", folder.resolve("agent").toString()),
            Host.local());
    for (List<String> command :
        List.of(
            List.of("--version"),
            List.of("agent", "start", "--help"),
            List.of("no-such-verb", "--json"))) {
      int code = Main.run(command, shell);
      if (code != 0 && code != ExitCode.USAGE.number) {
        throw new IllegalStateException(command + " ended with " + code);
      }
    }
  }
}
