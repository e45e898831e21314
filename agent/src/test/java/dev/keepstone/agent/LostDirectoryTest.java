package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.segment.layout.RegisteredPiece;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// An agent whose directory or lock is taken away under it: nobody can find it any more, so it ends
/// and its memory comes free.
final class LostDirectoryTest {
  private static final String CLIENT = "00112233445566ff";
  private static final List<RegisteredPiece> LAYOUT = RawTrainer.floats("model", 400_000, "a");

  @TempDir Path store;
  private Nodes node;
  private Processes processes;

  @BeforeEach
  void begin() throws IOException {
    node = new Nodes(9);
    processes = new Processes(node.directory);
  }

  @AfterEach
  void end() throws Exception {
    processes.close();
    Files.createDirectories(node.directory.path());
    node.close();
  }

  @Test
  void anIdleAgentEndsWhenItsDirectoryIsRemoved() throws Exception {
    Process agent = processes.agent();
    removeDirectory();
    assertThat(agent.waitFor()).isZero();
  }

  @Test
  void whatIsSealedInARemovedDirectoryIsDrainedFirst() throws Exception {
    Process agent = processes.agent("--limit-rate", "2MiB");
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, null);
      trainer.save(1);
      removeDirectory();
      assertThat(agent.waitFor()).isZero();
    }
    Stores.requireWhole(store, "1-1");
    assertThat(node.directory.path()).doesNotExist();
  }

  @Test
  void anAgentWhoseLockIsRemovedLeavesEverythingToTheNextOne() throws Exception {
    Process first = processes.agent("--limit-rate", "1MiB");
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, null);
      trainer.save(1);
      Files.delete(node.directory.lock());
      Process second = processes.agent();
      assertThat(first.waitFor()).isZero();
      assertThat(node.directory.socket()).exists();
      assertThat(node.directory.info()).exists();
      trainer.greet();
      trainer.await("1-1");
      assertThat(second.isAlive()).isTrue();
    }
    Stores.requireWhole(store, "1-1");
  }

  private void removeDirectory() throws IOException {
    try (Stream<Path> files = Files.walk(node.directory.path())) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
