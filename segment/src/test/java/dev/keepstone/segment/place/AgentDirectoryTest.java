package dev.keepstone.segment.place;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.segment.SpecText;
import dev.keepstone.segment.memory.ThisUser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class AgentDirectoryTest {
  @Test
  void theVariableNamesIt() {
    assertThat(AgentDirectory.of(Map.of("KEEPSTONE_AGENT_DIR", "/x/../y")).path())
        .isEqualTo(Path.of("/y"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "unset"})
  void withoutItEachUserHasOneInMemory(String named) {
    Map<String, String> environment =
        named.isEmpty() ? Map.of("KEEPSTONE_AGENT_DIR", "") : Map.of();
    assertThat(AgentDirectory.of(environment).path())
        .isEqualTo(Path.of("/dev/shm/keepstone-" + ThisUser.id()));
  }

  @Test
  void aNewOneIsClosedToOthersAndMayBeMadeTwice(@TempDir Path parent) throws IOException {
    AgentDirectory directory = new AgentDirectory(parent.resolve("a/b"));
    directory.create();
    directory.create();
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(directory.path())))
        .isEqualTo("rwx------");
  }

  @Test
  void aMissingOneIsNotFound(@TempDir Path parent) {
    AgentDirectory directory = new AgentDirectory(parent.resolve("missing"));
    assertThatThrownBy(directory::check).isInstanceOf(KeepstoneException.NotFound.class);
  }

  private static void refused(Path path, String named) {
    AgentDirectory directory = new AgentDirectory(path);
    assertThatThrownBy(directory::create)
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining(named)
        .hasMessageContaining("KEEPSTONE_AGENT_DIR");
  }

  @ParameterizedTest
  @ValueSource(strings = {"rwxrwx---", "rwx----w-", "rwxrwxrwx"})
  void oneThatOthersCanWriteToIsRefused(String mode, @TempDir Path parent) throws IOException {
    Path path = Files.createDirectory(parent.resolve("d"));
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(mode));
    refused(path, mode);
  }

  @Test
  void aLinkAndAFileAreRefused(@TempDir Path parent) throws IOException {
    Path real = Files.createDirectory(parent.resolve("real"));
    refused(Files.createSymbolicLink(parent.resolve("link"), real), "symbolic link");
    refused(Files.createFile(parent.resolve("file")), "no directory");
  }

  @Test
  void oneOfAnotherUserIsRefused(@TempDir Path parent) throws IOException {
    Assumptions.assumeTrue(ThisUser.id() == 0, "only root can give a directory away");
    Path path = Files.createDirectory(parent.resolve("d"));
    Files.setAttribute(path, "unix:uid", 4711);
    refused(path, "user 4711");
  }

  @Test
  void aPathTooLongForASocketIsRefusedBeforeItIsBound() {
    String longest = "/" + "d".repeat(94 - 1 - "/agent.sock".length());
    AgentDirectory fits = new AgentDirectory(Path.of(longest));
    assertThatCode(fits::socket).doesNotThrowAnyException();
    assertThat(fits.temporarySocket("00112233").toString()).hasSize(107);
    AgentDirectory over = new AgentDirectory(Path.of(longest + "d"));
    assertThatThrownBy(over::socket).isInstanceOf(KeepstoneException.Refused.class);
  }

  @Test
  void segmentsAreListedByTheirNames(@TempDir Path parent) throws IOException {
    AgentDirectory directory = new AgentDirectory(parent);
    Files.createFile(directory.segment("00112233445566ff", 2));
    Files.createFile(directory.segment("00112233445566ff", 1));
    Files.createFile(directory.clientLock("00112233445566ff"));
    assertThat(directory.segments())
        .containsExactly(
            parent.resolve("00112233445566ff.1.segment"),
            parent.resolve("00112233445566ff.2.segment"));
  }

  @Test
  void theExampleOfTheSpecReadsBackToItself() {
    String example = String.valueOf(SpecText.examples("segment.md").get("agent"));
    Json.Obj json = JsonReader.readObject(example.getBytes(UTF_8));
    assertThat(AgentInfo.read(json).toJson()).isEqualTo(json);
  }

  @ParameterizedTest
  @EnumSource(Outlives.class)
  void whatAnAgentSaysOfItselfReadsBack(Outlives outlives) {
    AgentInfo info =
        new AgentInfo(
            4700, "7c1e02aa", Instant.parse("2026-11-24T07:30:00Z"), "keepstone 0.1.0", outlives);
    assertThat(AgentInfo.read(info.toJson())).isEqualTo(info);
  }
}
