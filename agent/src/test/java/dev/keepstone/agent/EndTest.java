package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.memory.RecordLock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What an agent leaves in its directory when it ends, and what it clears away when it starts.
final class EndTest {
  private static final String FIRST = "00112233445566ff";
  private static final String SECOND = "aaaabbbbccccdddd";
  private static final List<RegisteredPiece> LAYOUT = RawTrainer.floats("model", 300_000, "a");
  private static final String[] KEPT = {"agent.log", "events.jsonl"};

  @TempDir Path store;
  private Nodes node;

  @BeforeEach
  void begin() throws IOException {
    node = new Nodes(6);
  }

  @AfterEach
  void end() throws Exception {
    node.close();
  }

  @Test
  void aStopLeavesTheLogAndTheEvents() throws Exception {
    Agent agent = node.start();
    RawTrainer trainer = node.trainer(FIRST);
    trainer.start(store, "t1", 3);
    trainer.register(LAYOUT, null);
    trainer.save(1);
    trainer.die();
    try (RawTrainer other = node.trainer(SECOND)) {
      other.start(store, "t2", 3);
      other.want("1-1");
    }
    agent.stop(false);
    agent.awaitEnd();
    assertThat(left()).containsExactlyInAnyOrder(KEPT);
    Stores.requireWhole(store, "1-1");
    trainer.close();
  }

  @Test
  void theEndForLackOfWorkLeavesTheLogAndTheEvents() throws Exception {
    AgentOptions options =
        new AgentOptions(
            node.directory, 64L << 20, null, Duration.ofMillis(1), AgentOptions.SHORTEST_GRACE);
    Agent agent = Agent.start(options, Node.of(Disk.local(), Nodes.CLOCK, new Random(6)));
    agent.awaitEnd();
    assertThat(left()).containsExactlyInAnyOrder(KEPT);
  }

  @Test
  void aStopLeavesTheSegmentAndTheLockOfALivingTrainer() throws Exception {
    Agent agent = node.start();
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, null);
      trainer.save(1);
      agent.stop(false);
      agent.awaitEnd();
      assertThat(left())
          .containsExactlyInAnyOrder(
              "agent.log", "events.jsonl", FIRST + ".lock", FIRST + ".1.segment");
    }
  }

  @Test
  void whatDeadAgentsAndClientsLeftIsClearedAway() throws Exception {
    node.directory.create();
    Path old = node.directory.clientLock(FIRST);
    Files.createFile(old);
    Files.setLastModifiedTime(old, FileTime.from(Nodes.CLOCK.instant().minusSeconds(3600)));
    Path held = node.directory.clientLock(SECOND);
    RecordLock lock = RecordLock.tryTake(held).orElseThrow();
    Files.setLastModifiedTime(held, FileTime.from(Nodes.CLOCK.instant().minusSeconds(3600)));
    Path justMade = node.directory.clientLock("0123456789abcdef");
    Files.createFile(justMade);
    Path window = node.directory.window(FIRST);
    Files.createFile(window);
    Path temporary = node.directory.temporarySocket("7c1e02aa");
    Files.createFile(temporary);
    node.start();
    assertThat(List.of(old, window, temporary)).noneMatch(Files::exists);
    assertThat(List.of(held, justMade)).allMatch(Files::exists);
    lock.close();
  }

  private List<String> left() throws IOException {
    try (Stream<Path> files = Files.list(node.directory.path())) {
      return files.map(file -> String.valueOf(file.getFileName())).toList();
    }
  }
}
