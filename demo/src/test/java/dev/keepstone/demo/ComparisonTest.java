package dev.keepstone.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ComparisonTest {
  private static final List<MemorySegment> TENSORS =
      List.of(Arena.global().allocate(3000), Arena.global().allocate(500));

  private long now;

  @Test
  void bothTimesAreTakenAndTheFileIsGone(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("same-bytes");
    var comparison = new Comparison(TENSORS, file, () -> now += 2_000_000);
    assertThat(comparison.measure()).isEqualTo(new Comparison.Times(2, 2));
    assertThat(comparison.measure()).isEqualTo(new Comparison.Times(2, 2));
    assertThat(file).doesNotExist();
  }

  @Test
  void aFileOfSomebodyElseIsNotOverwritten(@TempDir Path folder) throws IOException {
    Path file = Files.writeString(folder.resolve("same-bytes"), "mine");
    var comparison = new Comparison(TENSORS, file, () -> now);
    assertThatThrownBy(comparison::measure).isInstanceOf(FileAlreadyExistsException.class);
    assertThat(file).hasContent("mine");
  }
}
