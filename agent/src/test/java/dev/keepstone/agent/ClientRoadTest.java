package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.client.AgentStarter;
import dev.keepstone.client.Client;
import dev.keepstone.client.ClientEnvironment;
import dev.keepstone.client.Launch;
import dev.keepstone.client.Registration;
import dev.keepstone.client.Restore;
import dev.keepstone.client.Saved;
import dev.keepstone.client.Source;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.verify.Verify;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The road with the JVM client at its other end.
final class ClientRoadTest {
  private static final Duration PATIENCE = Duration.ofMinutes(1);

  @TempDir Path store;

  @Test
  void whatAClientSavesVerifiesDeeplyAndComesBackFromMemoryAndFromTheStore() throws Exception {
    float[] weight = new float[100_000];
    try (Nodes node = new Nodes(5)) {
      node.start();
      try (Client client = Client.connect(environment(node, 1), "test")) {
        client.start(Launch.single(store, "run", "t1"));
        client.register(registration(weight));
        for (int step = 1; step <= 3; step++) {
          Arrays.fill(weight, step);
          Saved saved = client.save(step, List.of(Json.of(step * 10L)), Map.of("loss", 1.0 / step));
          Arrays.fill(weight, -1);
          client.awaitDurable(saved, PATIENCE);
        }
      }
      for (int step = 1; step <= 3; step++) {
        assertThat(
                Verify.deep(Stores.run(store), new CheckpointId(1, step), bytes -> {}).problems())
            .isEmpty();
      }
      try (Client client = Client.connect(environment(node, 2), "test")) {
        assertThat(client.start(Launch.single(store, "run", "t2")).parent()).isEqualTo("1-3");
        requireStep(client, "1-3", 3);
        requireStep(client, "1-1", 1);
      }
    }
  }

  private static void requireStep(Client client, String id, int step) {
    try (Restore restore = client.open(id)) {
      float[] back = new float[100_000];
      restore.into(
          saved -> List.of(Restore.Target.whole(saved.tensor(), MemorySegment.ofArray(back))));
      assertThat(back).containsOnly(step);
      assertThat(restore.state())
          .isEqualTo(
              Json.object()
                  .put("state", Json.object().put("tokens", step * 10L).build())
                  .put("keepstone", Json.object().build())
                  .build());
    }
  }

  private static Registration registration(float[] weight) {
    Json.Obj hole = Json.object().put("~", "hole").put("v", 0).build();
    Tensor tensor = new Tensor("weight", Dtype.F32, new Shape(List.of((long) weight.length)));
    return new Registration(
        List.of(Source.of("model", tensor, MemorySegment.ofArray(weight))),
        Json.object()
            .put("state", Json.object().put("tokens", hole).build())
            .put("keepstone", Json.object().build())
            .build(),
        Json.object().build(),
        Json.object().put("client", "test").build(),
        Registration.Space.DEFAULT);
  }

  private static ClientEnvironment environment(Nodes node, long seed) {
    return new ClientEnvironment(
        node.directory,
        AgentStarter.none(),
        new Random(seed),
        new ClientEnvironment.Clocks(Nodes.CLOCK, Nodes.CLOCK::nanos),
        ClientEnvironment.Patience.DEFAULT);
  }
}
