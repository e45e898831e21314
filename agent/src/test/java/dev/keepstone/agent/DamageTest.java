package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.client.AgentStarter;
import dev.keepstone.client.Client;
import dev.keepstone.client.ClientEnvironment;
import dev.keepstone.client.Keep;
import dev.keepstone.client.Launch;
import dev.keepstone.client.Registration;
import dev.keepstone.client.Restore;
import dev.keepstone.client.Source;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.View;
import dev.keepstone.store.verify.Scrub;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A bit flips in a store, and the agent finds it: while it restores, or before, while it scrubs.
final class DamageTest {
  private static final Duration PATIENCE = Duration.ofMinutes(1);

  @TempDir Path store;

  private void saveThree(Nodes node) {
    float[] weight = new float[100_000];
    try (Client client = client(node, 1)) {
      client.start(Launch.single(store, "run", "t1"));
      client.register(
          new Registration(
              List.of(
                  Source.of(
                      "model",
                      new Tensor("weight", Dtype.F32, new Shape(List.of(100_000L))),
                      MemorySegment.ofArray(weight))),
              Json.object()
                  .put("state", Json.object().build())
                  .put("keepstone", Json.object().build())
                  .build(),
              Json.object().build(),
              Json.object().build(),
              Registration.Space.DEFAULT));
      for (int step = 1; step <= 3; step++) {
        Arrays.fill(weight, step);
        client.awaitDurable(client.save(step, List.of(), Map.of()), PATIENCE);
      }
    }
  }

  private void flip(String id) throws IOException {
    try (Stream<Path> files = Files.list(store.resolve("run/checkpoints/" + id))) {
      Path shard =
          files.filter(file -> file.toString().endsWith(".safetensors")).findFirst().orElseThrow();
      byte[] bytes = Files.readAllBytes(shard);
      bytes[bytes.length - 1] ^= 1;
      Files.write(shard, bytes);
    }
  }

  @Test
  void aRestoreThatMeetsDamageWritesItDownAndTheNextStartGoesOnFromTheOneBefore() throws Exception {
    try (Nodes node = new Nodes(21)) {
      node.start();
      saveThree(node);
      flip("1-3");
      try (Client client = client(node, 2)) {
        assertThat(client.start(Launch.single(store, "run", "t2")).parent()).isEqualTo("1-3");
        try (Restore restore = client.open("1-3")) {
          assertThatThrownBy(() -> restore.read((piece, offset, bytes) -> {}))
              .isInstanceOf(KeepstoneException.Integrity.class)
              .hasMessageContaining("tensor weight");
        }
      }
      View view = Stores.run(store).look();
      assertThat(view.quarantined(new CheckpointId(1, 3))).isTrue();
      assertThat(view.latest()).contains(new CheckpointId(1, 2));
      try (Client client = client(node, 3)) {
        Answer.Start started = client.start(Launch.single(store, "run", "t3"));
        assertThat(started.parent()).isEqualTo("1-2");
        assertThat(started.skipped()).hasSize(1);
        assertThat(started.skipped().getFirst().toString()).contains("1-3").contains("weight");
      }
      assertThat(new EventTail(node.directory.path().resolve("events.jsonl")).ids("quarantined"))
          .containsExactly("1-3");
    }
  }

  @Test
  void aTrainerThatWantsNoCertainOneGoesOnFromTheCheckpointBeforeADamagedOne() throws Exception {
    try (Nodes node = new Nodes(24)) {
      node.start();
      saveThree(node);
      flip("1-3");
      float[] back = new float[100_000];
      try (Client client = client(node, 2)) {
        assertThat(client.start(Launch.single(store, "run", "t2")).parent()).isEqualTo("1-3");
        List<String> tried = new ArrayList<>();
        assertThat(
                client.resume(restore -> {
                  tried.add(restore.id());
                  restore.into(saved ->
                      List.of(Restore.Target.whole(saved.tensor(), MemorySegment.ofArray(back))));
                }))
            .isTrue();
        assertThat(tried).containsExactly("1-3", "1-2");
        assertThat(back).containsOnly(2);
      }
      flip("1-2");
      try (Client client = client(node, 3)) {
        Launch certain = new Launch(store, "run", "t3", 0, 1, "1-2", Keep.last(9));
        assertThat(client.start(certain).parent()).isEqualTo("1-2");
        assertThatThrownBy(() -> client.resume(restore -> restore.read((piece, at, bytes) -> {})))
            .isInstanceOf(KeepstoneException.Integrity.class);
      }
    }
  }

  @Test
  void aScrubReadsEveryCheckpointOnceAndQuarantinesWhatIsBad() throws Exception {
    try (Nodes node = new Nodes(22)) {
      node.scrubbing(1L << 30).start(256L << 20, Duration.ofSeconds(90), Disk.local());
      EventTail events = new EventTail(node.directory.path().resolve("events.jsonl"));
      saveThree(node);
      await(events, 3);
      View view = Stores.run(store).look();
      assertThat(view.standing()).hasSize(3).allMatch(id -> Scrub.verified(view, id).isPresent());

      flip("1-2");
      assertThat(Stores.run(store).look().quarantined(new CheckpointId(1, 2)))
          .as("what was read a moment ago is not read again")
          .isFalse();
      try (Stream<Path> holds = Files.list(store.resolve("run/holds"))) {
        assertThat(holds).as("nothing is held any more").isEmpty();
      }
    }
  }

  @Test
  void aScrubQuarantinesWhatIsBad() throws Exception {
    try (Nodes node = new Nodes(23)) {
      node.start();
      saveThree(node);
      flip("1-3");
    }
    try (Nodes node = new Nodes(24)) {
      node.scrubbing(1L << 30).start(256L << 20, Duration.ofSeconds(90), Disk.local());
      EventTail events = new EventTail(node.directory.path().resolve("events.jsonl"));
      try (Client client = client(node, 4)) {
        client.start(Launch.single(store, "run", "t2"));
        await(events, 3);
      }
      assertThat(events.ids("quarantined")).containsExactly("1-3");
      assertThat(Stores.run(store).look().latest()).contains(new CheckpointId(1, 2));
    }
  }

  private void await(EventTail events, int count) throws IOException {
    long until = Nodes.CLOCK.nanos() + PATIENCE.toNanos();
    while (events.count("scrubbed") < count && Nodes.CLOCK.nanos() < until) {
      Nodes.CLOCK.pause(Duration.ofMillis(50));
    }
    assertThat(events.count("scrubbed")).isEqualTo(count);
  }

  private static Client client(Nodes node, long seed) {
    return Client.connect(
        new ClientEnvironment(
            node.directory,
            AgentStarter.none(),
            new Random(seed),
            new ClientEnvironment.Clocks(Nodes.CLOCK, Nodes.CLOCK::nanos),
            ClientEnvironment.Patience.DEFAULT),
        "test");
  }
}
