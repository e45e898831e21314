package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.RunStatus;
import dev.keepstone.testkit.SlowDisk;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// A store that is slow, a store that is nearly full, a trainer that ends without a word.
class HardTimesTest {
  @TempDir Path store;

  @Test
  void aStoreOfTenMegabytesASecondHoldsUpSlotsAndNothingElse() throws Exception {
    try (Nodes node = new Nodes(1)) {
      SlowDisk disk = new SlowDisk(Disk.local(), 10_000_000, store);
      node.start(256L << 20, Duration.ofSeconds(90), disk);
      RawTrainer trainer = node.trainer("00000000000000aa");
      trainer.start(store, "token", 10);
      // 20 MiB a save, as far as the disk goes two seconds.
      trainer.register(RawTrainer.floats("model", 5 << 20, "a"), null);
      trainer.save(1);
      trainer.save(2);
      RunStatus.Save first = trainer.ask(new Request.Status()).runs().getFirst().saves().getFirst();
      assertThat(first.id()).isEqualTo("1-1");
      assertThat(first.done()).isLessThan(first.bytes());
      // Both slots are under way: who may not wait is told so at once.
      assertThatExceptionOfType(KeepstoneException.Busy.class)
          .isThrownBy(() -> trainer.ask(new Request.Lend(0)));
      trainer.save(3);
      trainer.await("1-3");
      for (int step = 1; step <= 3; step++) {
        Stores.requireWhole(store, "1-" + step);
      }
      EventTail events = new EventTail(node.directory.events());
      List<Json.Obj> waited =
          events.events().stream().filter(event -> event.text("event").equals("went-on")).toList();
      assertThat(waited).isNotEmpty();
      assertThat(waited.getLast().text("why")).isEqualTo("slots");
      trainer.close();
    }
  }

  @Test
  void aStoreThatLacksTheSpaceOfAnotherSaveIsToldBeforeThatSave() throws Exception {
    try (Nodes node = new Nodes(2)) {
      SlowDisk disk = new SlowDisk(Disk.local(), 1_000_000_000_000L, store);
      node.start(256L << 20, Duration.ofMillis(300), disk);
      RawTrainer trainer = node.trainer("00000000000000aa");
      trainer.start(store, "token", 1);
      trainer.register(RawTrainer.floats("model", 1 << 18, "a"), null);
      EventTail events = new EventTail(node.directory.events());
      trainer.save(1);
      trainer.await("1-1");
      disk.free(1000);
      trainer.save(2);
      trainer.await("1-2");
      while (events.count("low-space") == 0) {
        Thread.onSpinWait();
      }
      // What the rules do not keep goes; no sooner than its grace.
      while (!events.ids("purged").contains("1-1")) {
        Thread.onSpinWait();
      }
      Json.Obj low =
          events.events().stream()
              .filter(event -> event.text("event").equals("low-space"))
              .findFirst()
              .orElseThrow();
      assertThat(low.integer("free")).isEqualTo(1000);
      assertThat(low.integer("needs")).isGreaterThan(1 << 20);
      Stores.requireWhole(store, "1-2");
      trainer.close();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"announced", "sealed"})
  void aTrainerThatEndsRightAfterItsSaveHasSaved(String how) throws Exception {
    try (Nodes node = new Nodes(3);
        Processes processes = new Processes(node.directory)) {
      node.start();
      Process trainer =
          processes.java(
              HaltingTrainer.class,
              List.of(node.directory.path().toString(), store.toString(), how));
      assertThat(trainer.waitFor()).isZero();
      EventTail events = new EventTail(node.directory.events());
      while (events.count("committed") == 0) {
        Thread.onSpinWait();
      }
      Stores.requireWhole(store, "1-7");
    }
  }
}
