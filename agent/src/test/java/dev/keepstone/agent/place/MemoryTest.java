package dev.keepstone.agent.place;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MemoryTest {
  @TempDir Path groups;

  private void group(String name, String max, String current, String stat) throws IOException {
    Path group = Files.createDirectories(groups.resolve(name));
    Files.writeString(group.resolve("memory.max"), max + "\n");
    Files.writeString(group.resolve("memory.current"), current + "\n");
    Files.writeString(group.resolve("memory.stat"), stat);
  }

  @Test
  void theTightestGroupOnTheWayCounts() throws IOException {
    group("job", "1000", "400", "anon 300\ninactive_file 50\n");
    group("job/step", "max", "400", "");
    assertThat(Memory.groupBytes("0::/job/step\n", groups)).isEqualTo(1000);
    assertThat(Memory.groupHeadroom("0::/job/step\n", groups)).isEqualTo(650);
    group("job/step", "500", "450", "inactive_file 0\n");
    assertThat(Memory.groupHeadroom("0::/job/step\n", groups)).isEqualTo(50);
  }

  @Test
  void aGroupBeyondItsLimitHasNothingLeftAndNoLimitLeavesAll() throws IOException {
    group("full", "1000", "1200", "inactive_file 100\n");
    assertThat(Memory.groupHeadroom("0::/full\n", groups)).isZero();
    assertThat(Memory.groupHeadroom("0::/elsewhere\n", groups)).isEqualTo(Long.MAX_VALUE);
    assertThat(Memory.groupHeadroom("", groups)).isEqualTo(Long.MAX_VALUE);
  }

  @Test
  void thisMachineTellsBoth() {
    assertThat(Memory.headroomBytes()).isPositive().isLessThanOrEqualTo(Memory.usableBytes());
    assertThat(Memory.residentBytes()).isGreaterThan(10L << 20);
  }
}
