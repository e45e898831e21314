package dev.keepstone.agent;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.store.tier.StoreClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.Comparator;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// A node for a test: an agent's directory in shared memory, an agent in this process, a store.
final class Nodes implements AutoCloseable {
  static final StoreClock CLOCK =
      StoreClock.of(
          Clock.systemUTC(), System::nanoTime, time -> LockSupport.parkNanos(time.toNanos()));

  final AgentDirectory directory;
  private final long seed;
  private int agents;
  private @Nullable Long scrubRate;
  private @Nullable Agent agent;

  Nodes(long seed) throws IOException {
    this.seed = seed;
    directory = new AgentDirectory(Files.createTempDirectory(Path.of("/dev/shm"), "ks-agent-"));
  }

  /// Agents from now on verify in the background.
  Nodes scrubbing(long bytesPerSecond) {
    scrubRate = bytesPerSecond;
    return this;
  }

  Agent start() throws IOException {
    return start(256L << 20, Duration.ofSeconds(90), Disk.local());
  }

  /// An agent for which time goes otherwise.
  Agent start(StoreClock clock) throws IOException {
    return start(256L << 20, Duration.ofSeconds(90), Disk.local(), clock);
  }

  Agent start(long budget, Duration grace, Disk disk) throws IOException {
    return start(budget, grace, disk, CLOCK);
  }

  private Agent start(long budget, Duration grace, Disk disk, StoreClock clock) throws IOException {
    AgentOptions options =
        new AgentOptions(directory, budget, null, Duration.ofMinutes(10), grace, scrubRate);
    // Another seed for each, as two agents have two nonces.
    Agent started = Agent.start(options, Node.of(disk, clock, new Random(seed * 100 + agents++)));
    agent = started;
    return started;
  }

  /// An agent on a machine that has so much memory left.
  Agent start(long budget, LongSupplier headroom) throws IOException {
    AgentOptions options =
        new AgentOptions(directory, budget, null, Duration.ofMinutes(10), Duration.ofSeconds(90));
    Node node = Node.of(Disk.local(), CLOCK, new Random(seed * 100 + agents++), headroom);
    Agent started = Agent.start(options, node);
    agent = started;
    return started;
  }

  RawTrainer trainer(String client) throws IOException {
    return new RawTrainer(directory, client).greet();
  }

  @Override
  public void close() throws Exception {
    if (agent != null) {
      agent.close();
    }
    try (Stream<Path> files = Files.walk(directory.path())) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
