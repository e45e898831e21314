package dev.keepstone.segment.wire;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.segment.SpecText;
import dev.keepstone.segment.layout.LayoutCodec;
import dev.keepstone.testkit.Seeds;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What anybody may have written: refused in one way or read, never anything else.
class DamagedFramesTest {
  private static final String CHANGES = "0123456789-.eE\"[]{},:~atF/";

  static LongStream seeds() {
    return Seeds.count(300);
  }

  private static byte[] damaged(String text, Random random) {
    byte[] bytes = text.getBytes(UTF_8);
    for (int changes = random.nextInt(1, 4); changes > 0; changes--) {
      bytes[random.nextInt(bytes.length)] = (byte) CHANGES.charAt(random.nextInt(CHANGES.length()));
    }
    return bytes;
  }

  @ParameterizedTest(name = "seed {0}")
  @MethodSource("seeds")
  void aDamagedRequestIsReadOrRefused(long seed) {
    List<String> requests =
        SpecText.examples("wire.md").entrySet().stream()
            .filter(entry -> entry.getKey().endsWith("-request"))
            .map(Map.Entry::getValue)
            .toList();
    Random random = Seeds.random(seed);
    for (String request : requests) {
      try {
        Json.Obj frame = JsonReader.readObject(damaged(request, random));
        Request<?> read = RequestCodec.read(frame);
        assertThat(RequestCodec.read(RequestCodec.toJson(read))).isEqualTo(read);
      } catch (JsonException
          | KeepstoneException.Refused
          | KeepstoneException.Unsupported expected) {
        assertThat(expected.getMessage()).isNotBlank();
      }
    }
  }

  @ParameterizedTest(name = "seed {0}")
  @MethodSource("seeds")
  void aDamagedLayoutIsSoundOrRefused(long seed) {
    String layout = String.valueOf(SpecText.examples("segment.md").get("layout"));
    Random random = Seeds.random(seed);
    for (int round = 0; round < 50; round++) {
      try {
        Json.Obj json = JsonReader.readObject(damaged(layout, random));
        assertThat(LayoutCodec.read(json).slotBytes()).isPositive();
      } catch (JsonException expected) {
        assertThat(expected.getMessage()).isNotBlank();
      }
    }
  }
}
