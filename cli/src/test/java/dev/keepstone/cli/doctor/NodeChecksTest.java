package dev.keepstone.cli.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.segment.place.Outlives;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class NodeChecksTest {
  private static final String LIMITS =
      """
      Limit                     Soft Limit           Hard Limit           Units
      Max locked memory         8388608              8388608              bytes
      Max open files            256                  524288               files
      """;

  @Test
  void limitsAreReadFromTheLineOfTheirName() {
    assertThat(NodeChecks.limit("Max locked memory", LIMITS)).contains("8388608");
    assertThat(NodeChecks.limit("Max open files", LIMITS)).contains("256");
    assertThat(NodeChecks.limit("Max", LIMITS)).contains("locked");
    assertThat(NodeChecks.limit("Max nice priority", LIMITS)).isEmpty();
  }

  @Test
  void aLimitThatIsTooSmallSaysHowToRaiseIt() {
    assertThat(NodeChecks.lockedMemory(Optional.of("8388608")).next()).contains("memlock");
    assertThat(NodeChecks.lockedMemory(Optional.of("unlimited")).verdict())
        .isEqualTo(Finding.Verdict.OK);
    assertThat(NodeChecks.openFiles(Optional.of("256")).next()).contains("ulimit -n");
    assertThat(NodeChecks.openFiles(Optional.of("20000")).verdict()).isEqualTo(Finding.Verdict.OK);
  }

  @Test
  void anAgentThatEndsWithItsContainerIsSaid() {
    assertThat(NodeChecks.life(Outlives.NODE).verdict()).isEqualTo(Finding.Verdict.OK);
    assertThat(NodeChecks.life(Outlives.PROCESS).next()).contains("/dev/shm");
    assertThat(NodeChecks.life(Outlives.JOB_STEP).verdict()).isEqualTo(Finding.Verdict.WARN);
  }
}
