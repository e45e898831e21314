package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class UnitsTest {
  @Test
  void sizesAreBinaryAndNeverShowAThousandTwentyFour() {
    assertThat(Units.size(0)).isEqualTo("0 B");
    assertThat(Units.size(1023)).isEqualTo("1023 B");
    assertThat(Units.size(1024)).isEqualTo("1.0 KiB");
    assertThat(Units.size((1 << 20) - 1)).isEqualTo("1.0 MiB");
    assertThat(Units.size(37_433_754_419L)).isEqualTo("34.9 GiB");
    assertThat(Units.size(Long.MAX_VALUE)).isEqualTo("8.0 EiB");
  }

  @Test
  void agesHaveOneUnit() {
    assertThat(Units.age(Ran.NOW, Ran.NOW)).isEqualTo("now");
    assertThat(Units.age(Ran.NOW.plusSeconds(5), Ran.NOW)).isEqualTo("now");
    assertThat(Units.duration(Duration.ofSeconds(119))).isEqualTo("119 s");
    assertThat(Units.duration(Duration.ofMinutes(4))).isEqualTo("4 min");
    assertThat(Units.duration(Duration.ofHours(3))).isEqualTo("3 h");
    assertThat(Units.duration(Duration.ofDays(12))).isEqualTo("12 days");
  }

  @Test
  void countsAgreeWithTheirThing() {
    assertThat(Units.count(1, "tensor")).isEqualTo("1 tensor");
    assertThat(Units.count(12_345, "tensor")).isEqualTo("12,345 tensors");
  }
}
