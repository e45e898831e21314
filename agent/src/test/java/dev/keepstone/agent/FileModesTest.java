package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.segment.layout.RegisteredPiece;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What lies in the store belongs to its users: modes follow the umask of the trainer that started
/// the agent. What lies in the agent's directory is its owner's alone, whatever the umask.
final class FileModesTest {
  private static final String CLIENT = "00112233445566ff";
  private static final List<RegisteredPiece> LAYOUT = RawTrainer.floats("model", 5000, "a", "b");
  private static final int SET_GROUP = 02000;
  private static final int PERMISSIONS = 07777;

  @TempDir Path folder;
  private Nodes node;
  private Processes processes;

  @BeforeEach
  void begin() throws IOException {
    node = new Nodes(11);
    processes = new Processes(node.directory);
  }

  @AfterEach
  void end() throws Exception {
    processes.close();
    node.close();
  }

  @ParameterizedTest(name = "umask {0}, set-group-id {1}")
  @CsvSource({"022, false", "027, true", "002, true", "077, false"})
  void theStoreFollowsTheUmaskAndTheAgentsOwnIsClosed(String umask, boolean setGroup)
      throws Exception {
    int mask = Integer.parseInt(umask, 8);
    Path team = folder.resolve("team");
    Files.createDirectory(team);
    Files.setPosixFilePermissions(team, PosixFilePermissions.fromString("rwxrwxrwx"));
    if (setGroup) {
      Files.setAttribute(team, "unix:mode", SET_GROUP | 0777);
    }
    Path store = team.resolve("ckpts");
    processes.agentUnder(umask);
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 2);
      trainer.register(LAYOUT, null);
      trainer.save(1);
      trainer.await("1-1");

      assertThat(modes(store, Files::isRegularFile)).containsExactly(octal(0666 & ~mask));
      int folders = 0777 & ~mask | (setGroup ? SET_GROUP : 0);
      assertThat(modes(store, Files::isDirectory)).containsExactly(octal(folders));
      assertThat(modes(node.directory.path(), Files::isDirectory)).containsExactly(octal(0700));
      assertThat(mode(node.directory.socket())).isEqualTo(octal(0600));
      assertThat(mode(node.directory.lock())).isEqualTo(octal(0600));
      assertThat(mode(node.directory.clientLock(CLIENT))).isEqualTo(octal(0600));
      assertThat(node.directory.segments())
          .isNotEmpty()
          .allSatisfy(segment -> assertThat(mode(segment)).isEqualTo(octal(0600)));
    }
  }

  private static TreeSet<String> modes(Path below, Predicate<Path> which) throws IOException {
    TreeSet<String> modes = new TreeSet<>();
    try (Stream<Path> files = Files.walk(below)) {
      for (Path file : files.filter(which).toList()) {
        // Later facts are on their way, under names that go away.
        if (!file.toString().endsWith(".tmp")) {
          modes.add(mode(file));
        }
      }
    }
    return modes;
  }

  private static String mode(Path file) throws IOException {
    return octal((int) Files.getAttribute(file, "unix:mode") & PERMISSIONS);
  }

  private static String octal(int mode) {
    return "%04o".formatted(mode);
  }
}
