package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Ended;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What dead processes left in the store goes without anybody's command, and nothing else does.
class SweepTest {
  @TempDir Path store;

  private static void old(Path file) throws Exception {
    Files.setLastModifiedTime(file, FileTime.from(Instant.now().minus(Duration.ofDays(3))));
  }

  @Test
  void temporariesOrphansAndDeadHoldsOfLongAgoGoAndYoungOnesAndForeignOnesStay() throws Exception {
    try (Nodes node = new Nodes(1)) {
      node.start();
      RawTrainer trainer = node.trainer("00000000000000aa");
      trainer.start(store, "token", 3);
      Path run = store.resolve("run");
      Path holds = Files.createDirectories(run.resolve("holds"));
      Path folder = Files.createDirectories(run.resolve("checkpoints/1-1"));
      Path temporary = Files.writeString(run.resolve("starts/1.json.0000000a.1.tmp"), "torn");
      Path hold = Files.writeString(holds.resolve("1-1.0000000a.1.json"), "a reader's");
      Path attempt = Files.writeString(folder.resolve("model-00000.0000000a.safetensors"), "half");
      Path young = Files.writeString(run.resolve("starts/2.json.0000000b.1.tmp"), "now");
      Path foreign = Files.writeString(run.resolve("starts/README"), "somebody's");
      for (Path file : List.of(temporary, hold, attempt, foreign, folder, holds)) {
        old(file);
      }
      trainer.register(RawTrainer.floats("model", 1000, "a"), null);
      trainer.save(10);
      assertThat(trainer.await("1-10")).isInstanceOf(Ended.Committed.class);
      EventTail events = new EventTail(node.directory.events());
      while (events.count("swept") == 0) {
        Thread.onSpinWait();
      }
      Json.Obj swept =
          events.events().stream()
              .filter(event -> event.text("event").equals("swept"))
              .findFirst()
              .orElseThrow();
      assertThat(swept.integer("leftovers")).isEqualTo(3);
      assertThat(temporary).doesNotExist();
      assertThat(hold).doesNotExist();
      // An attempt is announced first, like every deletion.
      assertThat(attempt).exists();
      assertThat(events.ids("tomb")).containsExactly("1-1");
      assertThat(young).exists();
      assertThat(foreign).exists();
      Stores.requireWhole(store, "1-10");
      trainer.close();
    }
  }
}
