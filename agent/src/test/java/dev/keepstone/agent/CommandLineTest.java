package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CommandLineTest {
  private static CommandLine parsed(String... arguments) {
    return CommandLine.parse(arguments, Map.of("KEEPSTONE_AGENT_DIR", "/dev/shm/keepstone-test"));
  }

  @Test
  void anAgentNobodyNeedsEndsByItselfUnlessSomebodySupervisesIt() {
    assertThat(parsed().options().idle()).isEqualTo(Duration.ofMinutes(10));
    assertThat(parsed("--foreground").options().idle()).isGreaterThan(Duration.ofDays(10_000));
    assertThat(parsed("--foreground", "--idle", "90s").options().idle()).hasSeconds(90);
    assertThat(parsed("--foreground").options().idle().toNanos()).isPositive();
  }

  @Test
  void sizesHaveBinaryAndDecimalUnits() {
    assertThat(parsed("--budget", "8GiB", "--limit-rate", "500MB").options())
        .satisfies(options -> assertThat(options.budget()).isEqualTo(8L << 30))
        .satisfies(options -> assertThat(options.limitRate()).isEqualTo(500_000_000L));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"--budget 0", "--budget -1", "--budget 8Gx", "--idle soon", "--idle", "--bogus"})
  void whatIsWrongIsSaid(String arguments) {
    assertThatThrownBy(() -> parsed(arguments.split(" ", -1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(arguments.split(" ", -1)[0]);
  }
}
