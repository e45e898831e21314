package dev.keepstone.core.pickle;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.keepstone.core.bytes.MemoryFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.pickle.PickledTensor.Strided;
import dev.keepstone.core.state.StateTree;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// In the build: over the seeds, which are the files under fixtures/torch/pickles. With
/// `JAZZER_FUZZ=1` in the environment: on from there.
class PickleFuzzTest {
  private static final Path FIXTURES =
      Path.of(
          Objects.requireNonNull(System.getProperty("keepstone.root")),
          "fixtures",
          "torch",
          "pickles");

  @FuzzTest
  void anyBytesAreRefusedOrAState(byte[] bytes) throws IOException {
    PickleInput input = new PickleInput(new MemoryFile(bytes), "fuzzed", 0, bytes.length);
    PickledState state;
    try {
      state = PickledState.read(input, bytes.length % 2 == 0);
    } catch (KeepstoneException.Integrity | KeepstoneException.Refused e) {
      assertThat(e.on()).startsWith("fuzzed, byte ");
      return;
    }
    StateTree.read(Objects.requireNonNull(state.state().get("state")));
    for (PickledTensor tensor : state.tensors()) {
      if (tensor.origin() instanceof Strided strided && strided.elementCount() > 0) {
        long last = strided.offset();
        for (int d = 0; d < strided.extents().size(); d++) {
          last += (strided.extents().get(d) - 1) * strided.strides().get(d);
        }
        assertThat((last + 1) * strided.elementBytes())
            .isLessThanOrEqualTo(strided.storage().bytes());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void damagedPicklesAreRefusedOrRead(long seed) throws IOException {
    SplittableRandom random = new SplittableRandom(seed);
    List<Path> files;
    try (Stream<Path> pickles = Files.list(FIXTURES)) {
      files = pickles.sorted().toList();
    }
    for (int round = 0; round < 1000; round++) {
      byte[] bytes = Files.readAllBytes(files.get(random.nextInt(files.size())));
      for (int change = random.nextInt(1, 4); change > 0; change--) {
        int at = random.nextInt(bytes.length);
        bytes[at] = (byte) (random.nextBoolean() ? random.nextInt() : bytes[at] ^ 1);
      }
      anyBytesAreRefusedOrAState(bytes);
    }
  }
}
