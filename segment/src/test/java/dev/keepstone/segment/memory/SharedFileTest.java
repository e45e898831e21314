package dev.keepstone.segment.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SharedFileTest {
  @Test
  void twoMappingsSeeOneMemory(@TempDir Path directory) {
    Path path = directory.resolve("f");
    try (SharedFile made = SharedFile.create(path, 10_000);
        SharedFile opened = SharedFile.openWritable(path)) {
      opened.populate();
      assertThat(made.bytes().byteSize()).isEqualTo(10_000);
      assertThat(made.bytes().toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
      made.bytes().set(ValueLayout.JAVA_BYTE, 9_999, (byte) 7);
      assertThat(opened.bytes().get(ValueLayout.JAVA_BYTE, 9_999)).isEqualTo((byte) 7);
    }
  }

  @Test
  void onlyTheUserMayOpenIt(@TempDir Path directory) throws IOException {
    Path path = directory.resolve("f");
    SharedFile.create(path, 1).close();
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
        .isEqualTo("rw-------");
  }

  @Test
  void aMappingForReadingTakesNoStore(@TempDir Path directory) {
    Path path = directory.resolve("f");
    SharedFile.create(path, 10_000).close();
    try (SharedFile opened = SharedFile.openReadOnly(path)) {
      opened.populate(5_000, 3_000);
      assertThatThrownBy(() -> opened.bytes().set(ValueLayout.JAVA_BYTE, 0, (byte) 1))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void moreThanThereIsIsAnErrorBeforeAnyStoreAndLeavesNothing() throws IOException {
    Path memory = Path.of("/dev/shm");
    Path path = memory.resolve("keepstone-shared-file-test-" + ProcessHandle.current().pid());
    long more = Files.getFileStore(memory).getTotalSpace() + (1L << 30);
    assertThatThrownBy(() -> SharedFile.create(path, more))
        .isInstanceOf(KeepstoneException.NoSpace.class)
        .hasMessageContaining("reserve " + more)
        .hasMessageContaining("found ");
    assertThat(path).doesNotExist();
  }

  @Test
  void aNameThatIsTakenIsLeftAsItIs(@TempDir Path directory) throws IOException {
    Path path = Files.writeString(directory.resolve("f"), "mine");
    assertThatThrownBy(() -> SharedFile.create(path, 10))
        .isInstanceOf(KeepstoneException.Failed.class);
    assertThat(path).hasContent("mine");
  }

  @Test
  void anEmptyOrMissingFileIsNotMapped(@TempDir Path directory) throws IOException {
    Path empty = Files.createFile(directory.resolve("empty"));
    assertThatThrownBy(() -> SharedFile.openWritable(empty))
        .isInstanceOf(KeepstoneException.Integrity.class);
    assertThatThrownBy(() -> SharedFile.openReadOnly(directory.resolve("missing")))
        .isInstanceOf(KeepstoneException.NotFound.class);
    assertThatThrownBy(() -> SharedFile.openReadOnly(directory))
        .isInstanceOf(KeepstoneException.class);
  }
}
