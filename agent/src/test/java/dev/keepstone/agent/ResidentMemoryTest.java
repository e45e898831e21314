package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Request;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What an agent holds beyond its segments, which are shared memory and counted apart by the
/// system. Code and class-data archives, which are mapped from files, are counted in.
///
/// `-Dkeepstone.memory.mib=256` for saves of that size.
final class ResidentMemoryTest {
  private static final long SAVE_BYTES = Long.getLong("keepstone.memory.mib", 8) << 20;
  private static final int MORE_SAVES = 200;
  private static final int SAVES = 50;

  private static final long MOST_BYTES = 96L << 20;

  private static final int MANY_TENSORS = 100_000;
  private static final long MANY_TENSORS_ELEMENTS = 16;

  @TempDir Path store;

  @Test
  void fiftySavesLeaveAnAgentSmall() throws Exception {
    List<RegisteredPiece> layout = RawTrainer.floats("model", SAVE_BYTES / 16, "a", "b", "c", "d");
    try (Nodes node = new Nodes(8);
        Processes processes = new Processes(node.directory)) {
      Process agent =
          processes.java(
              TortureAgent.class,
              List.of(node.directory.path().toString(), Long.toString(1L << 40)));
      TortureTrainer.awaitAgent(node.directory);
      try (RawTrainer trainer = node.trainer("00112233445566ff")) {
        trainer.start(store, "t1", 2);
        trainer.register(layout, null);
        for (int step = 1; step <= SAVES; step++) {
          trainer.save(step);
        }
        trainer.await("1-" + SAVES);
        // A compiler that has just begun holds tens of MiB for a moment, and gives them back.
        long bytes = told(agent, SAVES + " saves of " + (SAVE_BYTES >> 20) + " MiB");
        for (int more = 1; more <= MORE_SAVES && bytes >= MOST_BYTES; more++) {
          trainer.save(SAVES + more);
          trainer.await("1-" + (SAVES + more));
          bytes = told(agent, "one save more");
        }
        assertThat(bytes).isLessThan(MOST_BYTES);
      }
    }
  }

  @Test
  void aHundredThousandTensorsGoToTheStoreAndComeBack() throws Exception {
    String[] names = new String[MANY_TENSORS];
    for (int i = 0; i < MANY_TENSORS; i++) {
      names[i] = "model.layers.%07d.self_attention.weight".formatted(i);
    }
    try (Nodes node = new Nodes(10);
        Processes processes = new Processes(node.directory)) {
      Process agent = processes.agent();
      try (RawTrainer trainer = node.trainer("00112233445566ff")) {
        trainer.start(store, "t1", 3);
        trainer.register(RawTrainer.floats("model", MANY_TENSORS_ELEMENTS, names), null);
        for (int step = 1; step <= 3; step++) {
          trainer.save(step);
          trainer.await("1-" + step);
        }
        told(agent, "3 saves of " + MANY_TENSORS + " tensors");
        // No longer in memory: of two slots one is kept and one is lent.
        assertThat(trainer.want("1-1").sources()).isEmpty();
        long bytes = 0;
        for (boolean end = false; !end; ) {
          Answer.Next next = trainer.ask(new Request.Next());
          bytes += next.chunks().stream().mapToLong(Answer.Chunk::byteLength).sum();
          end = next.end();
        }
        assertThat(bytes).isEqualTo(MANY_TENSORS * MANY_TENSORS_ELEMENTS * Float.BYTES);
        told(agent, "a restore of " + MANY_TENSORS + " tensors");
      }
      Stores.requireWhole(store, "1-3");
    }
  }

  /// Prints what an agent holds.
  ///
  /// @return bytes beyond shared memory
  private static long told(Process agent, String after) throws IOException {
    long anonymous = resident(agent, "RssAnon");
    long files = resident(agent, "RssFile");
    System.out.println(
        "after %s: RssAnon %d MiB, RssFile %d MiB, RssShmem %d MiB, peak of all %d MiB"
            .formatted(
                after,
                anonymous >> 20,
                files >> 20,
                resident(agent, "RssShmem") >> 20,
                resident(agent, "VmHWM") >> 20));
    return anonymous + files;
  }

  private static long resident(Process process, String kind) throws IOException {
    return Files.readAllLines(Path.of("/proc/" + process.pid() + "/status")).stream()
        .filter(line -> line.startsWith(kind))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024)
        .findFirst()
        .orElseThrow();
  }
}
