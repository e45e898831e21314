package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainingTest {
  @Test
  void theRunThatTheCacheIsMadeFromSucceeds(@TempDir Path folder) throws IOException {
    Training.main(new String[] {folder.toString()});
    assertThat(folder.resolve("out.safetensors")).exists();
  }
}
