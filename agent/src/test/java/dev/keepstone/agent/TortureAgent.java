package dev.keepstone.agent;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.segment.place.AgentDirectory;
import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;

/// The agent as `AgentMain` runs it, with a grace so short that deletions are killed too:
/// `<directory> <drain limit>`.
final class TortureAgent {
  private static final Duration GRACE = Duration.ofSeconds(2);

  private TortureAgent() {}

  public static void main(String[] arguments) throws IOException, InterruptedException {
    AgentOptions options =
        new AgentOptions(
            new AgentDirectory(Path.of(arguments[0])),
            1L << 30,
            Long.parseLong(arguments[1]),
            AgentOptions.DEFAULT_IDLE,
            GRACE);
    Agent.start(options, Node.of(Disk.local(), Nodes.CLOCK, new SecureRandom())).awaitEnd();
  }
}
