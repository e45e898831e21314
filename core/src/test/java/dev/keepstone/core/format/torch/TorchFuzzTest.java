package dev.keepstone.core.format.torch;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.keepstone.core.bytes.MemoryFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.view.StoredPiece;
import dev.keepstone.core.view.StoredTensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// In the build: over the seeds, which are the files under fixtures/torch. With `JAZZER_FUZZ=1` in
/// the environment: on from there.
class TorchFuzzTest {
  private static final Path FIXTURES =
      Path.of(Objects.requireNonNull(System.getProperty("keepstone.root")), "fixtures", "torch");

  private static final long MOST_READ = 1 << 20;

  @FuzzTest
  void anyBytesAreRefusedOrACheckpointThatCanBeRead(byte[] bytes) throws IOException {
    try {
      Optional<TorchView> opened = TorchView.of(new MemoryFile(bytes), Path.of("fuzzed"), false);
      if (opened.isPresent()) {
        try (TorchView view = opened.get()) {
          readAll(view);
        }
      }
    } catch (KeepstoneException e) {
      assertThat(e.on()).startsWith("fuzzed");
    }
  }

  private static void readAll(TorchView view) throws IOException {
    assertThat(view.state()).isPresent();
    view.damages();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(MOST_READ, 8);
      for (StoredTensor tensor : view.tensors()) {
        StoredPiece piece = tensor.pieces().getFirst();
        assertThat(piece.bytes()).isEqualTo(tensor.tensor().byteLength());
        view.read(tensor, piece, 0, memory.asSlice(0, Math.min(MOST_READ, piece.bytes())));
        view.crc32(tensor);
      }
    }
  }

  /// Few changes at a time, since most of many are refused by the first of them.
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void damagedFilesAreRefusedOrRead(long seed) throws IOException {
    SplittableRandom random = new SplittableRandom(seed);
    List<Path> files;
    try (Stream<Path> accepted = Files.list(FIXTURES.resolve("accepted"))) {
      files = accepted.filter(file -> file.toString().endsWith(".pt")).sorted().toList();
    }
    for (int round = 0; round < 500; round++) {
      byte[] bytes = Files.readAllBytes(files.get(random.nextInt(files.size())));
      for (int change = random.nextInt(1, 4); change > 0; change--) {
        int at = random.nextInt(bytes.length);
        bytes[at] = (byte) (random.nextBoolean() ? random.nextInt() : bytes[at] ^ 1);
      }
      anyBytesAreRefusedOrACheckpointThatCanBeRead(bytes);
    }
  }
}
