package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Save after save, an agent stays as large as it was.
///
/// `-Dkeepstone.soak.saves=500` for the long form, which allows 1 %, once everything is as full as
/// it ever gets (4096 events are remembered); the short one measures the compiler as much as the
/// agent.
final class SoakTest {
  private static final int SAVES = Integer.getInteger("keepstone.soak.saves", 40);
  private static final int WARM_UP = SAVES >= 500 ? 700 : 40;
  private static final double MOST_GROWTH = SAVES >= 500 ? 0.01 : 0.25;

  /// Saves over which the smallest look counts: between two collections there is garbage.
  private static final int LOOKS = 20;

  @TempDir Path store;

  @Test
  void manySavesDoNotMakeTheAgentGrow() throws Exception {
    try (Nodes node = new Nodes(1);
        Processes processes = new Processes(node.directory)) {
      Process agent = processes.agent();
      try (RawTrainer trainer = node.trainer("00112233445566ff")) {
        trainer.start(store, "token", 2);
        trainer.register(RawTrainer.floats("model", 1 << 17, "a", "b", "c", "d"), null);
        int step = save(trainer, 0, WARM_UP);
        long before = smallest(agent, trainer, step);
        step = save(trainer, step + LOOKS, SAVES);
        long after = smallest(agent, trainer, step);
        System.out.printf(
            "%d saves: %d KiB before, %d KiB after%n", SAVES, before >> 10, after >> 10);
        assertThat((double) after).isLessThan(before * (1 + MOST_GROWTH));
      }
    }
  }

  private static int save(RawTrainer trainer, int from, int count) throws Exception {
    for (int step = from + 1; step <= from + count; step++) {
      trainer.save(step);
    }
    trainer.await("1-" + (from + count));
    return from + count;
  }

  private static long smallest(Process agent, RawTrainer trainer, int from) throws Exception {
    long least = Long.MAX_VALUE;
    for (int step = from + 1; step <= from + LOOKS; step++) {
      trainer.save(step);
      trainer.await("1-" + step);
      long anonymous =
          Files.readAllLines(Path.of("/proc/" + agent.pid() + "/status")).stream()
              .filter(line -> line.startsWith("RssAnon"))
              .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024)
              .findFirst()
              .orElseThrow();
      least = Math.min(least, anonymous);
    }
    return least;
  }
}
