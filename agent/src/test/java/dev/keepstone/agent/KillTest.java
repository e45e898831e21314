package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.client.AgentStarter;
import dev.keepstone.client.Client;
import dev.keepstone.client.ClientEnvironment;
import dev.keepstone.client.Launch;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.store.reference.CheckpointId;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// SIGKILL to agents and trainers, at moments drawn from a seed.
final class KillTest {
  static final List<RegisteredPiece> LAYOUT = RawTrainer.floats("model", 400_000, "a", "b", "c");

  private static final String FIRST = "00112233445566ff";
  private static final String SECOND = "aaaabbbbccccdddd";

  @TempDir Path store;
  private Nodes node;
  private Processes processes;

  @BeforeEach
  void begin() throws IOException {
    node = new Nodes(2);
    processes = new Processes(node.directory);
  }

  @AfterEach
  void end() throws Exception {
    processes.close();
    node.close();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void anAgentKilledAnywhereInADrainIsFollowedByOneThatCommits(long seed) throws Exception {
    Random random = new Random(seed);
    Process first = processes.agent("--limit-rate", "16MiB");
    RawTrainer trainer = node.trainer(FIRST);
    trainer.start(store, "t1", 100);
    trainer.register(LAYOUT, 16L << 20);
    trainer.save(1);
    trainer.await("1-1");
    trainer.save(2);
    trainer.save(3);
    String[] kinds = {"sealed", "draining", "progress", "drained", "part", "committed"};
    String kind = kinds[random.nextInt(kinds.length)];
    processes.awaitEvents(kind, kind.equals("progress") ? 1 + random.nextInt(4) : 2);
    Processes.kill(first);

    processes.agent();
    trainer.greet();
    trainer.ask(new Request.Wait(null, 60_000));
    trainer.save(4);
    assertThat(trainer.await("1-4"))
        .as("seed %d, %s", seed, kind)
        .isInstanceOf(Ended.Committed.class);
    trainer.close();
    assertThat(Stores.run(store).look().visible())
        .as("seed %d, %s", seed, kind)
        .extracting(CheckpointId::step)
        .containsExactly(1L, 2L, 3L, 4L);
    for (int step = 1; step <= 4; step++) {
      Stores.requireWhole(store, "1-" + step);
    }
  }

  @Test
  void aTrainerKilledAfterTheSealLosesNothing() throws Exception {
    processes.agent("--limit-rate", "16MiB");
    killedTrainer(2);
    try (RawTrainer next = node.trainer(SECOND)) {
      Answer.Start start = next.start(store, "t2", 100);
      assertThat(start.parent()).isEqualTo("1-3");
    }
    Stores.requireWhole(store, "1-3");
  }

  @Test
  void trainerAndAgentKilledTogetherLoseNothing() throws Exception {
    Process agent = processes.agent("--limit-rate", "4MiB");
    killedTrainer(1);
    Processes.kill(agent);
    processes.agent();
    try (RawTrainer next = node.trainer(SECOND)) {
      assertThat(next.start(store, "t2", 100).parent()).isEqualTo("1-2");
    }
    Stores.requireWhole(store, "1-1");
    Stores.requireWhole(store, "1-2");
  }

  @Test
  void aTerminatedAgentDrainsFirst() throws Exception {
    Process agent = processes.agent();
    RawTrainer trainer = node.trainer(FIRST);
    trainer.start(store, "t1", 100);
    trainer.register(LAYOUT, 8L << 20);
    trainer.save(1);
    agent.destroy();
    assertThat(agent.waitFor()).isIn(0, 143);
    trainer.close();
    Stores.requireWhole(store, "1-1");
  }

  @Test
  void aSecondAgentTellsWhoRuns() throws Exception {
    processes.agent();
    Process second =
        processes.java(
            AgentMain.class, List.of("--foreground", "--dir", node.directory.path().toString()));
    assertThat(second.waitFor()).isEqualTo(8);
  }

  /// Two clients that miss an agent each start one: both meet the one that came first.
  @Test
  void twoClientsThatStartAnAgentAtOnceMeetTheSame() throws Exception {
    List<Process> started = new CopyOnWriteArrayList<>();
    AgentStarter starter =
        directory -> {
          try {
            started.add(
                processes.java(
                    AgentMain.class,
                    List.of("--foreground", "--dir", directory.path().toString())));
            TortureTrainer.awaitAgent(directory);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        };
    List<Callable<Long>> clients = new ArrayList<>();
    for (long seed : new long[] {1, 2}) {
      clients.add(() -> {
        try (Client client = Client.connect(environment(starter, seed), "test")) {
          Answer.Start _ = client.start(Launch.single(store, "run", "t" + seed));
          return client.agent().pid();
        }
      });
    }
    List<Long> met = new ArrayList<>();
    try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
      for (Future<Long> pid : threads.invokeAll(clients)) {
        met.add(pid.get());
      }
    }
    assertThat(started).hasSize(2);
    Process winner =
        started.stream().filter(it -> it.pid() == met.getFirst()).findFirst().orElseThrow();
    Process loser = started.stream().filter(it -> it != winner).findFirst().orElseThrow();
    assertThat(met).containsOnly(winner.pid());
    assertThat(loser.waitFor()).isEqualTo(8);
    assertThat(winner.isAlive()).isTrue();
  }

  private ClientEnvironment environment(AgentStarter starter, long seed) {
    return new ClientEnvironment(
        node.directory,
        starter,
        new Random(seed),
        new ClientEnvironment.Clocks(Nodes.CLOCK, Nodes.CLOCK::nanos),
        ClientEnvironment.Patience.DEFAULT);
  }

  private void killedTrainer(int announced) throws IOException, InterruptedException {
    Process trainer =
        processes.java(
            TrainerProcess.class,
            List.of(
                node.directory.path().toString(),
                store.toString(),
                Integer.toString(announced),
                FIRST));
    assertThat(trainer.getInputStream().read()).isEqualTo('\n');
    Processes.kill(trainer);
  }
}
