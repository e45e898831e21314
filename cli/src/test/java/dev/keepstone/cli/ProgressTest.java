package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class ProgressTest {
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private Instant now = Ran.NOW;

  private Progress begin(Progress.Form form) {
    PrintStream stream = new PrintStream(err, true, StandardCharsets.UTF_8);
    return new Progress(stream, form, 80, () -> now, "verifying");
  }

  @Test
  void inAPipeOnePlainLineComesEveryThirtySeconds() {
    try (Progress progress = begin(Progress.Form.PLAIN)) {
      for (int second = 1; second <= 65; second++) {
        now = Ran.NOW.plusSeconds(second);
        progress.set((long) second << 20, 1L << 30);
      }
    }
    assertThat(err.toString(StandardCharsets.UTF_8).lines())
        .containsExactly(
            "verifying  30.0 MiB of 1.0 GiB  2 %  1.0 MiB/s  16 min left",
            "verifying  60.0 MiB of 1.0 GiB  5 %  1.0 MiB/s  16 min left");
  }

  @Test
  void asJsonLinesAnObjectComesEverySecond() {
    try (Progress progress = begin(Progress.Form.JSON)) {
      now = now.plusMillis(900);
      progress.set(1, 8);
      now = now.plusMillis(200);
      progress.set(2, 8);
      progress.set(3, 8);
    }
    assertThat(err.toString(StandardCharsets.UTF_8).lines())
        .containsExactly(
            "{\"v\":1,\"type\":\"progress\",\"doing\":\"verifying\",\"bytes\":2,\"total\":8}");
  }

  @Test
  void onATerminalOneLineIsOverwrittenAndWipedAtTheEnd() {
    try (Progress progress = begin(Progress.Form.LINE)) {
      for (int i = 1; i <= 4; i++) {
        now = now.plusSeconds(1);
        progress.set((long) i << 20, 4L << 20);
      }
    }
    String written = err.toString(StandardCharsets.UTF_8);
    assertThat(written).doesNotContain("\n").doesNotContain("\u001b");
    assertThat(written.split("\r"))
        .allSatisfy(line -> assertThat(line).hasSizeLessThan(80))
        .anySatisfy(line -> assertThat(line).startsWith("verifying  4.0 MiB of 4.0 MiB  100 %"));
    assertThat(written).endsWith("\r" + " ".repeat(79) + "\r");
  }

  @Test
  void silentMeansNothingAtAll() {
    try (Progress progress = begin(Progress.Form.SILENT)) {
      now = now.plusSeconds(100);
      progress.set(50, 100);
    }
    assertThat(err.size()).isZero();
  }
}
