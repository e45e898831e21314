package dev.keepstone.agent.events;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Event;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class EventLogTest {
  private static final InstantSource CLOCK =
      InstantSource.fixed(Instant.parse("2026-11-24T07:32:00.181900Z"));

  @TempDir Path directory;

  @Test
  void anEventHasANumberATimeAndItsFieldsInOrder() throws IOException, InterruptedException {
    try (EventLog log = new EventLog(directory, CLOCK)) {
      log.add("sealed", Json.object().put("id", "1-40").put("bytes", 8).build());
      assertThat(log.await(0, 0)).hasSize(1);
    }
    assertThat(Files.readString(directory.resolve("events.jsonl")))
        .isEqualTo(
            "{\"seq\":1,\"at\":\"2026-11-24T07:32:00.181Z\",\"event\":\"sealed\",\"id\":\"1-40\",\"bytes\":8}\n");
    assertThat(Files.readString(directory.resolve("agent.log")))
        .isEqualTo("2026-11-24T07:32:00.181Z sealed id=1-40 bytes=8\n");
  }

  @Test
  void onlyTheLastEventsAreRememberedAndAReaderAsksFromANumberOn() throws InterruptedException {
    try (EventLog log = new EventLog(directory, CLOCK)) {
      for (int i = 0; i < EventLog.REMEMBERED + 10; i++) {
        log.add("progress", Json.object().build());
      }
      List<Event> all = log.await(0, 0);
      assertThat(all).hasSize(EventLog.REMEMBERED);
      assertThat(all.getFirst().sequence()).isEqualTo(11);
      assertThat(log.await(EventLog.REMEMBERED + 8, 0)).hasSize(2);
    }
  }

  @Test
  void aFullLineFileTurnsOver() throws IOException {
    String line = "x".repeat(1 << 20);
    try (LineFile file = new LineFile(directory, "events", ".jsonl")) {
      for (int i = 0; i < 40; i++) {
        file.append(line);
      }
    }
    assertThat(Files.size(directory.resolve("events.jsonl"))).isLessThan(LineFile.MAX_BYTES);
    assertThat(Files.size(directory.resolve("events.1.jsonl"))).isLessThan(LineFile.MAX_BYTES);
  }

  @Test
  void aDirectoryThatCannotBeWrittenCostsLinesAndNothingElse() throws InterruptedException {
    try (EventLog log = new EventLog(directory.resolve("missing"), CLOCK)) {
      log.add("sealed", Json.object().build());
      assertThat(log.await(0, 0)).hasSize(1);
    }
  }
}
