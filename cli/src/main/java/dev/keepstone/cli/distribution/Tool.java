package dev.keepstone.cli.distribution;

import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// A program of the system or of the JDK that is run to its end.
final class Tool {
  private static final int SHOWN = 2000;

  private Tool() {}

  /// @return what it printed
  /// @throws KeepstoneException.Failed with the end of what it printed
  static String run(List<String> command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try {
      process.getOutputStream().close();
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      int code = process.waitFor();
      if (code != 0) {
        throw new KeepstoneException.Failed(
            "it ended with " + code + ": " + said.substring(Math.max(0, said.length() - SHOWN)),
            String.join(" ", command),
            "read what it printed",
            null);
      }
      return said;
    } finally {
      process.destroy();
    }
  }
}
