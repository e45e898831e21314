package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.verify.Verify;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Eight ranks on two nodes over one store, each a process, and an agent on each node; at seeded
/// moments of a save ranks and agents are killed, stopped for a while, or lost with their node.
/// Nobody hangs, the latest checkpoint is whole, what all ranks had sealed is not lost while their
/// nodes live, and the next save works.
///
/// `-Dkeepstone.torture.moments=1000` for the long form, `-Dkeepstone.torture.seed=4711` for other
/// moments.
final class RankTortureTest {
  private static final int MOMENTS = Integer.getInteger("keepstone.torture.moments", 40);
  private static final long SEED = Long.getLong("keepstone.torture.seed", 1);
  private static final int NODES = 2;
  private static final int LOCAL = 4;
  private static final int WORLD = NODES * LOCAL;

  /// Of each agent's writes: a slow store.
  private static final long LIMIT_RATE = 10L << 20;

  private enum Act {
    KILL_RANK(8),
    STOP_RANK(8),
    KILL_AGENT(8),
    STOP_AGENT(8),
    KILL_ALL(1),
    HALT_ALL(1),
    LOSE_NODE(2);

    /// How often it is drawn.
    private final int weight;

    Act(int weight) {
      this.weight = weight;
    }

    static Act draw(Random random) {
      int at = random.nextInt(Arrays.stream(values()).mapToInt(act -> act.weight).sum());
      for (Act act : values()) {
        at -= act.weight;
        if (at < 0) {
          return act;
        }
      }
      throw new IllegalStateException();
    }
  }

  @TempDir Path store;
  private final List<Nodes> nodes = new ArrayList<>();
  private final List<Processes> processes = new ArrayList<>();
  private final List<Process> agents = new ArrayList<>();
  private final List<Seat> seats = new ArrayList<>();
  private final Map<Act, Integer> acts = new EnumMap<>(Act.class);
  private String now = "";
  private int launches;
  private long step;

  /// The newest step that some rank was told to be committed.
  private long committed;

  @AfterEach
  void end() throws Exception {
    for (Processes one : processes) {
      one.close();
    }
    for (Nodes node : nodes) {
      node.close();
    }
  }

  @Test
  void ranksAndAgentsDieAndStandStillAndNobodyHangsOrLosesWhatAllHadSealed() throws Exception {
    System.out.println("seed " + SEED + ", " + MOMENTS + " moments");
    for (int node = 0; node < NODES; node++) {
      nodes.add(new Nodes(31 + node));
      processes.add(new Processes(nodes.get(node).directory));
      agents.add(agent(node));
    }
    IntStream.range(0, WORLD).forEach(rank -> seats.add(sit(rank)));
    launch(0, 0);
    for (int moment = 1; moment <= MOMENTS; moment++) {
      moment(moment, new Random(SEED * 1_000_003 + moment));
    }
    System.out.println(acts + ", " + launches + " launches, " + step + " steps");
  }

  private Process agent(int node) throws IOException {
    return processes
        .get(node)
        .java(
            TortureAgent.class,
            List.of(nodes.get(node).directory.path().toString(), Long.toString(LIMIT_RATE)));
  }

  private Seat sit(int rank) {
    try {
      return new Seat(rank, processes.get(rank / LOCAL).piped(TortureRank.class));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /// A new launch of all ranks. They go on from one checkpoint.
  ///
  /// @param least the oldest step, and `most` the newest, that it may be
  private void launch(long least, long most) {
    String token = "launch-" + ++launches;
    for (Seat seat : seats) {
      Path directory = nodes.get(seat.rank / LOCAL).directory.path();
      seat.tell(
          "launch %s %s %s %d %d %d".formatted(directory, store, token, seat.rank, WORLD, LOCAL));
    }
    Set<String> parents = new HashSet<>();
    for (Seat seat : seats) {
      parents.add(seat.hear(now + ", at its launch").orElse("died"));
    }
    assertThat(parents).as(now).hasSize(1);
    String parent = parents.iterator().next().substring("parent ".length());
    long from = parent.equals("none") ? 0 : CheckpointId.parse(parent).step();
    assertThat(from).as("%s: parent", now).isBetween(least, most);
  }

  private void moment(int number, Random random) throws Exception {
    Act act = Act.draw(random);
    int rank = random.nextInt(WORLD);
    int node = random.nextInt(NODES);
    int after = random.nextInt(300);
    now =
        "seed %d, moment %d: %s, rank %d, node %d, after %d ms"
            .formatted(SEED, number, act, rank, node, after);
    System.out.println(now);
    acts.merge(act, 1, Integer::sum);

    long tried = ++step;
    seats.forEach(seat -> seat.tell((act == Act.HALT_ALL ? "halt " : "save ") + tried));
    Nodes.CLOCK.pause(Duration.ofMillis(after));
    perform(act, rank, node, random);
    boolean sealed = true;
    for (Seat seat : seats) {
      sealed &= seat.hear(now + ", saving").equals(Optional.of("sealed " + tried));
    }
    awaitEnds(tried, true);
    boolean over = seats.stream().anyMatch(seat -> !seat.alive());
    if (over) {
      boolean kept = sealed && act != Act.LOSE_NODE;
      long least = kept ? tried : committed;
      replaceTheDead();
      launch(least, tried);
    }

    long next = ++step;
    seats.forEach(seat -> seat.tell("save " + next));
    for (Seat seat : seats) {
      assertThat(seat.hear(now + ", saving next"))
          .as("%s: rank %d", now, seat.rank)
          .contains("sealed " + next);
    }
    awaitEnds(next, false);
    requireWhole(next);
  }

  private void perform(Act act, int rank, int node, Random random) throws Exception {
    switch (act) {
      case KILL_RANK -> seats.get(rank).kill();
      case STOP_RANK -> {
        seats.get(rank).signal("STOP");
        Nodes.CLOCK.pause(Duration.ofMillis(random.nextInt(3000)));
        seats.get(rank).signal("CONT");
      }
      case KILL_AGENT -> {
        Processes.kill(agents.get(node));
        Nodes.CLOCK.pause(Duration.ofMillis(random.nextInt(200)));
        agents.set(node, agent(node));
      }
      case STOP_AGENT -> {
        Seat.signal(agents.get(node), "STOP");
        Nodes.CLOCK.pause(Duration.ofMillis(random.nextInt(3000)));
        Seat.signal(agents.get(node), "CONT");
      }
      case KILL_ALL -> {
        for (Seat seat : seats) {
          seat.kill();
        }
      }
      case HALT_ALL -> {}
      case LOSE_NODE -> {
        Processes.kill(agents.get(node));
        for (Seat seat : seats.subList(node * LOCAL, (node + 1) * LOCAL)) {
          seat.kill();
        }
        nodes.get(node).close();
        nodes.set(node, new Nodes(31 + node));
        processes.get(node).close();
        processes.set(node, new Processes(nodes.get(node).directory));
        agents.set(node, agent(node));
      }
    }
  }

  /// Every living rank learns how its save ended; where one was told that it is committed, all
  /// were.
  private void awaitEnds(long saved, boolean mayFail) {
    seats.forEach(seat -> seat.tell("await " + saved));
    Set<String> ends = new HashSet<>();
    for (Seat seat : seats) {
      seat.hear(now + ", awaiting").ifPresent(ends::add);
    }
    if (ends.contains("ended " + saved + " committed")) {
      committed = saved;
    }
    assertThat(ends).as(now).noneMatch(end -> end.contains(" hangs "));
    if (!mayFail) {
      assertThat(ends).as(now).containsExactly("ended " + saved + " committed");
    }
  }

  private void replaceTheDead() throws InterruptedException {
    for (int rank = 0; rank < WORLD; rank++) {
      if (!seats.get(rank).alive()) {
        seats.get(rank).kill();
        seats.set(rank, sit(rank));
      }
    }
  }

  private void requireWhole(long saved) throws IOException {
    Run run = Stores.run(store);
    CheckpointId latest = run.look().latest().orElseThrow();
    assertThat(latest.step()).as(now).isEqualTo(saved);
    assertThat(Verify.deep(run, latest, bytes -> {}).problems()).as(now).isEmpty();
    for (Part part : run.parts(run.manifest(latest))) {
      for (ShardReceipt shard : part.shards()) {
        Path folder = store.resolve("run/checkpoints/" + latest);
        byte[] file = Files.readAllBytes(folder.resolve(shard.path()).normalize());
        for (PieceReceipt piece : shard.pieces()) {
          MemorySegment bytes = MemorySegment.ofArray(file).asSlice(piece.at(), piece.bytes());
          long offset = piece.piece().slice().offset().getFirst() * 8;
          assertThat(
                  TortureState.wrong(piece.piece().tensor().name(), latest.step(), offset, bytes))
              .as("%s: %s", now, latest)
              .isEmpty();
        }
      }
    }
  }
}
