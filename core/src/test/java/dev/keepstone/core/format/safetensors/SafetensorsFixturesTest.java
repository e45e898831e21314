package dev.keepstone.core.format.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Every file under fixtures/safetensors is refused for the reason in its name, or accepted.
class SafetensorsFixturesTest {
  private static final Path FIXTURES =
      Path.of(
          Objects.requireNonNull(System.getProperty("keepstone.root")), "fixtures", "safetensors");

  static Stream<String[]> expected() throws IOException {
    return Files.readAllLines(FIXTURES.resolve("EXPECTED.tsv")).stream().map(l -> l.split("\t"));
  }

  static Stream<Path> accepted() throws IOException {
    return Files.list(FIXTURES.resolve("accepted"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("expected")
  void aBrokenFileIsRefusedNamingItsDefect(String name, String words) throws IOException {
    try (OpenFile file =
        Disk.local().open(FIXTURES.resolve("refused").resolve(name + ".safetensors"))) {
      assertThatThrownBy(() -> SafetensorsReader.read(file, name))
          .isInstanceOf(KeepstoneException.Integrity.class)
          .hasMessageContaining(words)
          .hasMessageContaining(name);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("accepted")
  void anOddButRightFileIsAccepted(Path path) throws IOException {
    try (OpenFile file = Disk.local().open(path)) {
      SafetensorsHeader header = SafetensorsReader.read(file, path.toString());
      assertThat(header.fileLength()).isEqualTo(Files.size(path));
      assertThat(header.tensors()).hasSameSizeAs(header.entries());
    }
  }

  @Test
  void everyBrokenFileHasItsExpectation() throws IOException {
    try (Stream<Path> files = Files.list(FIXTURES.resolve("refused"))) {
      assertThat(files.map(p -> p.getFileName().toString()).toList())
          .containsExactlyInAnyOrderElementsOf(
              expected().map(row -> row[0] + ".safetensors").toList());
    }
  }
}
