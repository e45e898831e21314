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
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// SIGKILL of a trainer, an agent and both, again and again, at seeded moments of save, drain,
/// commit, deletion and restore. Whatever was told as sealed becomes a committed checkpoint with
/// every byte of its step, and the next trainer goes on from the newest of them.
///
/// `-Dkeepstone.torture.rounds=200` for the long form, `-Dkeepstone.torture.seed=4711` for other
/// moments.
final class TortureTest {
  private static final int ROUNDS = Integer.getInteger("keepstone.torture.rounds", 12);
  private static final long SEED = Long.getLong("keepstone.torture.seed", 1);

  /// Of a drain, so that one takes a quarter of a second.
  private static final long LIMIT_RATE = 10L << 20;

  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(60);

  private enum Victim {
    TRAINER,
    AGENT,
    BOTH
  }

  @TempDir Path store;
  private Nodes node;
  private Processes processes;
  private EventTail events;
  private @Nullable Process agent;
  private @Nullable Told trainer;

  /// Every id that a trainer told as sealed.
  private final Set<String> sealed = new HashSet<>();

  private long newestSealed;
  private String now = "before the first round";

  @BeforeEach
  void begin() throws IOException {
    node = new Nodes(4);
    processes = new Processes(node.directory);
    events = new EventTail(node.directory.events());
  }

  @AfterEach
  void end() throws Exception {
    processes.close();
    node.close();
  }

  @Test
  void whateverWasSealedIsCommittedWholeThoughTrainerAndAgentAreKilledAtAnyMoment()
      throws Exception {
    for (int round = 1; round <= ROUNDS; round++) {
      round(round, new Random(SEED * 1_000_003 + round));
    }
    now = "seed " + SEED + ", after round " + ROUNDS;
    goOn(new Random(SEED));
    Told last = living();
    last.kill();
    retire(last);
    for (String id : List.copyOf(sealed)) {
      await(() -> events.ids("committed").contains(id), id + " committed");
    }
    Processes.kill(running());
    Run run = Stores.run(store);
    for (CheckpointId id : run.look().visible()) {
      requireWhole(run, id);
    }
    System.out.println(
        "%d rounds of seed %d: %d saves, %d purged, %d restores, newest step %d"
            .formatted(
                ROUNDS,
                SEED,
                sealed.size(),
                events.count("purged"),
                events.count("restored"),
                newestSealed));
  }

  private void round(int number, Random random) throws Exception {
    Victim victim = Victim.values()[random.nextInt(3)];
    Moment moment = Moment.draw(random, this);
    boolean recovered = random.nextBoolean() && !moment.ofStart();
    now = "seed %d, round %d, kill %s at %s".formatted(SEED, number, victim, moment);
    System.out.println(now + (recovered ? ", recovered before" : ""));
    goOn(random);
    if (recovered) {
      int said = living().lines().size();
      await(() -> told(said, "sealed "), "a save");
    }
    await(moment.reached(this), moment.toString());
    Nodes.CLOCK.pause(Duration.ofNanos(random.nextInt(4_000_000)));

    List<String> committed = List.copyOf(events.ids("committed"));
    boolean agentFirst = random.nextBoolean();
    if (victim == Victim.BOTH && agentFirst) {
      running().destroyForcibly();
    }
    if (victim != Victim.AGENT) {
      Told killed = living();
      killed.kill();
      retire(killed);
    }
    if (victim != Victim.TRAINER) {
      Processes.kill(running());
      agent = null;
    }
    requireLatest(committed);
  }

  /// Starts who is dead, and checks what a new trainer goes on from.
  private void goOn(Random random) throws Exception {
    if (agent == null) {
      agent =
          processes.java(
              TortureAgent.class,
              List.of(node.directory.path().toString(), Long.toString(LIMIT_RATE)));
    }
    if (trainer == null) {
      trainer =
          new Told(
              processes.java(
                  TortureTrainer.class,
                  List.of(
                      node.directory.path().toString(),
                      store.toString(),
                      Long.toString(random.nextLong()))));
    }
  }

  private Told living() {
    if (trainer == null) {
      throw new IllegalStateException("no trainer");
    }
    return trainer;
  }

  private Process running() {
    if (agent == null) {
      throw new IllegalStateException("no agent");
    }
    return agent;
  }

  /// Notes what a dead trainer said. Its save under way may or may not have come to its seal: that
  /// step may be the next one's parent, or the one before.
  private void retire(Told dead) {
    trainer = null;
    for (String line : dead.lines()) {
      String[] words = line.split(" ", 2);
      switch (words[0]) {
        case "wrong" -> throw new AssertionError(now + ": " + line);
        case "parent" -> {
          long parent = words[1].equals("none") ? 0 : CheckpointId.parse(words[1]).step();
          assertThat(parent).as("%s: parent", now).isBetween(newestSealed, newestSealed + 1);
          newestSealed = parent;
        }
        case "sealed" -> {
          sealed.add(words[1]);
          newestSealed = CheckpointId.parse(words[1]).step();
        }
        default -> {}
      }
    }
  }

  /// What was told as committed before the kill, or something newer, is the latest and whole.
  private void requireLatest(List<String> committed) throws IOException {
    if (committed.isEmpty()) {
      return;
    }
    Run run = Stores.run(store);
    Optional<CheckpointId> latest = run.look().latest();
    assertThat(latest).as(now).isPresent();
    CheckpointId told = CheckpointId.parse(committed.getLast());
    assertThat(latest.orElseThrow()).as(now).isGreaterThanOrEqualTo(told);
    requireWhole(run, latest.orElseThrow());
  }

  private void requireWhole(Run run, CheckpointId id) throws IOException {
    assertThat(Verify.deep(run, id, bytes -> {}).problems()).as("%s: %s", now, id).isEmpty();
    for (Part part : run.parts(run.manifest(id))) {
      for (ShardReceipt shard : part.shards()) {
        byte[] file =
            Files.readAllBytes(store.resolve("run/checkpoints/" + id).resolve(shard.path()));
        for (PieceReceipt piece : shard.pieces()) {
          MemorySegment bytes = MemorySegment.ofArray(file).asSlice(piece.at(), piece.bytes());
          assertThat(TortureState.wrong(piece.piece().tensor().name(), id.step(), 0, bytes))
              .as("%s: %s", now, id)
              .isEmpty();
        }
      }
    }
  }

  /// Whether the trainer said such a line, beginning with the `from`-th it ever said.
  private boolean told(int from, String beginning) {
    List<String> lines = living().lines();
    return lines.subList(from, lines.size()).stream().anyMatch(line -> line.startsWith(beginning));
  }

  /// A condition that may have to read.
  private interface Condition {
    boolean holds() throws IOException;
  }

  private void await(Condition condition, String what) throws Exception {
    long begun = Nodes.CLOCK.nanos();
    while (!condition.holds()) {
      List<String> said = trainer == null ? List.of() : trainer.lines();
      String last = said.isEmpty() ? "nothing" : said.getLast();
      boolean dead =
          (agent != null && !agent.isAlive()) || (trainer != null && !trainer.process().isAlive());
      if (dead || Nodes.CLOCK.nanos() - begun > PATIENCE_NANOS) {
        throw new AssertionError(
            "%s: waited for %s; %s; the trainer said last: %s; log:\n%s"
                .formatted(
                    now,
                    what,
                    dead ? "somebody died by itself" : "too long",
                    last,
                    tail(node.directory.log())));
      }
      Nodes.CLOCK.pause(Duration.ofMillis(1));
    }
  }

  private static String tail(Path file) throws IOException {
    List<String> lines = Files.exists(file) ? Files.readAllLines(file) : List.of();
    return String.join("\n", lines.subList(Math.max(0, lines.size() - 40), lines.size()));
  }

  /// When to kill.
  private sealed interface Moment {
    int ENOUGH_TO_DELETE = 6;

    /// Whether it comes only while somebody starts.
    default boolean ofStart() {
      return switch (this) {
        case After _ -> false;
        case Event(String kind, int _) -> kind.equals("started");
        case Line(String beginning) -> beginning.equals("parent");
      };
    }

    Condition reached(TortureTest test) throws IOException;

    /// One that will come: some do only in a start, some only once there is something to delete.
    static Moment draw(Random random, TortureTest test) throws IOException {
      List<String> lines = new ArrayList<>(List.of("opening", "restoring", "restored", "saving"));
      if (test.trainer == null) {
        lines.add("parent");
      }
      List<String> events =
          new ArrayList<>(
              List.of("sealed", "draining", "progress", "drained", "part", "committed"));
      if (test.events.count("committed") > ENOUGH_TO_DELETE) {
        events.addAll(List.of("tomb", "purged"));
      }
      if (test.agent == null) {
        // Adoption comes next.
        events.add("started");
      }
      return switch (random.nextInt(4)) {
        case 0 -> new After(random.nextInt(900));
        case 1 -> new Line(lines.get(random.nextInt(lines.size())));
        default -> new Event(events.get(random.nextInt(events.size())), 1 + random.nextInt(3));
      };
    }

    /// So long after the round's beginning.
    record After(long millis) implements Moment {
      @Override
      public Condition reached(TortureTest test) {
        long begun = Nodes.CLOCK.nanos();
        return () -> Nodes.CLOCK.nanos() - begun >= TimeUnit.MILLISECONDS.toNanos(millis);
      }
    }

    /// When the agent tells the n-th such event of the round.
    record Event(String kind, int nth) implements Moment {
      @Override
      public Condition reached(TortureTest test) throws IOException {
        long before = test.events.count(kind);
        int times = ofStart() ? 1 : nth;
        return () -> test.events.count(kind) >= before + times;
      }
    }

    /// When the trainer next says so.
    record Line(String beginning) implements Moment {
      @Override
      public Condition reached(TortureTest test) {
        int before = test.living().lines().size();
        return () -> test.told(before, beginning);
      }
    }
  }
}
