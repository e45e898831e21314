package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.store.due.DueSteps;
import dev.keepstone.store.object.Start.Wanted;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `save-now` against whoever plays the agents.
class SaveNowTest {
  @TempDir Path folder;
  private String gpt = "";
  private Path store = Path.of("");

  @BeforeEach
  void anImportedRun() throws IOException {
    store = folder.resolve("ckpts");
    gpt = store + "/gpt";
    Path source = Tensors.write(folder.resolve("model.safetensors"));
    assertThat(Ran.keepstone("import", source.toString(), gpt, "--step", "40").code()).isZero();
  }

  @Test
  void itAsksAndWaitsForTheStepThatTheAgentsAgreeOn() throws Exception {
    Saves saves = new Saves(store, "gpt");
    int start = saves.start(Wanted.LATEST);
    DueSteps steps = new DueSteps(saves.run(), start, () -> Ran.NOW);
    try (ExecutorService threads = Executors.newSingleThreadExecutor()) {
      Future<?> agent =
          threads.submit(() -> {
            while (!steps.asked(1)) {
              Thread.onSpinWait();
            }
            // The first step comes too late for a rank, so a later one is saved.
            steps.propose(1, 50, 1, "asked", "00000001");
            steps.propose(2, 60, 2, "asked", "00000001");
            return saves.save(start, 60, 1, 2);
          });
      Ran ran = Ran.keepstone("save-now", gpt, "--json");
      agent.get();
      assertThat(ran.code()).as(ran.out()).isZero();
      Examples.assertKept("save-now", ran.json());
      assertThat(ran.json().text("id")).isEqualTo(start + "-60");
      assertThat(ran.json().integer("attempts")).isEqualTo(2);
    }
  }

  @Test
  void aSaveThatIsNotDurableInTimeIsBusyAndSaysHowToGoOn() {
    Saves saves = new Saves(store, "gpt");
    int start = saves.start(Wanted.LATEST);
    DueSteps steps = new DueSteps(saves.run(), start, () -> Ran.NOW);
    steps.propose(1, 50, 1, "asked", "00000001");
    steps.propose(2, 60, 1, "asked", "00000001");
    // Somebody's wish is answered already; this one waits for what comes of the next number.
    try (ExecutorService threads = Executors.newSingleThreadExecutor()) {
      var _ =
          threads.submit(() -> {
            while (!steps.asked(3)) {
              Thread.onSpinWait();
            }
            return steps.propose(3, 70, 1, "asked", "00000001");
          });
      Ran ran = Ran.keepstone("save-now", gpt, "--timeout", "1s", "--json");
      assertThat(ran.code()).isEqualTo(8);
      assertThat(ran.error().text("on")).endsWith("@" + start + "-70");
      assertThat(ran.error().text("next")).contains("--until-commit");
    }
  }
}
