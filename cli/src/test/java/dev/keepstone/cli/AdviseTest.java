package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AdviseTest {
  @TempDir Path folder;

  @Test
  void theAnswerIsThatOfTheFormulas() {
    Ran ran = Ran.keepstone("advise", "--cost", "60s", "--mtbf", "3h", "--json");

    Examples.assertKept("advise", ran.json());
    assertThat(ran.json().real("young_s")).isCloseTo(1198.4, within(0.1));
    assertThat(ran.json().real("interval_s")).isBetween(1100.0, 1250.0);
  }

  @Test
  void sizeAndBandwidthStandForTheTimeUntilItIsDurable() {
    Ran ran =
        Ran.keepstone(
            "advise",
            "--cost",
            "1s",
            "--size",
            "1200GiB",
            "--bandwidth",
            "1GiB",
            "--mtbf",
            "3h",
            "--json");

    assertThat(ran.json().real("durable_s")).isEqualTo(1201);
    assertThat(ran.json().real("interval_s")).isEqualTo(1201);
  }

  @Test
  void whatNeitherIsGivenNorRecordedIsAskedFor() {
    Ran ran = Ran.keepstone("advise", "--cost", "60s", "--json");

    assertThat(ran.code()).isEqualTo(7);
    assertThat(ran.error().text("next")).isEqualTo("give --mtbf");
  }

  @Test
  void aRunTellsWhatItsSavesCost() throws IOException {
    Path source = Tensors.write(folder.resolve("one.safetensors"));
    String store = folder.resolve("store").toString();
    assertThat(Ran.keepstone("import", source.toString(), store + "/run").code()).isZero();

    Ran ran = Ran.keepstone("advise", store + "/run", "--mtbf", "3h", "--json");

    assertThat(ran.code()).isZero();
    assertThat(ran.json().real("cost_s")).isZero();
    assertThat(Ran.keepstone("advise", store + "/run").code()).isEqualTo(7);
  }
}
