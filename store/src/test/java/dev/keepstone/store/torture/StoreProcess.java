package dev.keepstone.store.torture;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.keepstone.Host;
import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.deletion.Ages;
import dev.keepstone.store.deletion.Author;
import dev.keepstone.store.deletion.Deletion;
import dev.keepstone.store.deletion.DeletionEvent;
import dev.keepstone.store.deletion.Garbage;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.hold.ReaderHold;
import dev.keepstone.store.hold.Secure;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.journal.Snapshots;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.run.Attempt;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.run.View;
import dev.keepstone.store.start.Started;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.LocalTier;
import dev.keepstone.store.tier.StoreClock;
import dev.keepstone.testkit.Seeds;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;

/// One real process of [ProcessTortureTest]: does one thing again and again, and says on its output
/// what it was told, a line each. It ends when a foreign file `stop` lies in the store, and fails
/// where anything goes wrong that nobody killed it for.
final class StoreProcess {
  /// What a process does. Ranks are of the newest start, stragglers of older ones.
  enum Role {
    RANK,
    STRAGGLER,
    COMMITTER,
    PINNER,
    PRUNER,
    READER,
    COLLECTOR
  }

  static final int KEPT = 3;
  static final Duration GRACE = Duration.ofMillis(500);

  private static final StoreClock CLOCK = Host.local().clock();

  private final Path store;
  private final Run run;
  private final String nonce;
  private final Random luck;
  private final PrintStream out = new PrintStream(System.out, true, UTF_8);

  private StoreProcess(Path store, String nonce) {
    this.store = store;
    this.nonce = nonce;
    this.run = open(store, nonce);
    this.luck = Seeds.random(Long.parseLong(nonce, 16));
  }

  static Run open(Path store, String nonce) {
    LocalTier tier = new LocalTier(Host.local().disk(), store, CLOCK, nonce, Duration.ZERO);
    return StoreRoot.openOrMake(tier, CLOCK).runOrMake("gpt", CLOCK, Seeds.random(1));
  }

  /// @param arguments store, role, nonce, token, world, rank
  public static void main(String[] arguments) {
    StoreProcess process = new StoreProcess(Path.of(arguments[0]), arguments[2]);
    int world = Integer.parseInt(arguments[4]);
    int rank = Integer.parseInt(arguments[5]);
    process.say("up");
    switch (Role.valueOf(arguments[1])) {
      case RANK -> process.train(arguments[3], world, rank, Duration.ofMillis(20));
      case STRAGGLER -> process.train(arguments[3], 1, 0, Duration.ofMillis(300));
      case COMMITTER -> process.commit();
      case PINNER -> process.pin();
      case PRUNER -> process.prune();
      case READER -> process.read();
      case COLLECTOR -> process.collect();
    }
  }

  private boolean goesOn() {
    return !Files.exists(store.resolve("stop"));
  }

  private void say(String line) {
    out.println(line);
  }

  private static void pause(int millis) {
    CLOCK.pause(Duration.ofMillis(millis));
  }

  private void train(String token, int world, int rank, Duration pace) {
    Starts starts = new Starts(run, CLOCK, Starts.Check.none());
    Started started = starts.decide(starts.join(token, world, Wanted.LATEST));
    say("parent " + started.start() + " " + started.parent().map(Object::toString).orElse("none"));
    Commit commit = new Commit(run);
    long step = lastStep(started);
    while (goesOn()) {
      step += 10;
      CheckpointId id = new CheckpointId(started.start(), step);
      if (stored(commit, id, rank, world)) {
        publish(commit, id);
      }
      CLOCK.pause(pace);
    }
  }

  /// Where earlier lives of this start came to.
  private long lastStep(Started started) {
    View view = run.look();
    long step = started.parent().map(CheckpointId::step).orElse(0L);
    for (CheckpointId id : view.manifests().keySet()) {
      step = id.start() == started.start() ? Math.max(step, id.step()) : step;
    }
    return step;
  }

  private boolean stored(Commit commit, CheckpointId id, int rank, int world) {
    try {
      commit.putPart(Checkpoints.write(run, id, rank, world, nonce));
      return true;
    } catch (KeepstoneException.NotFound e) {
      // Committed by others while this process stood still, and purged since.
      if (!run.tombs(id).purged(id)) {
        throw e;
      }
      return false;
    }
  }

  private void publish(Commit commit, CheckpointId id) {
    while (goesOn()) {
      switch (commit.publish(id)) {
        case Published.Committed() -> {
          told("committed", id);
          return;
        }
        case Published.Fenced fenced -> {
          told("fenced", id);
          return;
        }
        case Published.Lost(String why) -> {
          say("lost " + id + " " + why);
          return;
        }
        case Published.Refused refused -> throw new AssertionError(refused);
        case Published.Incomplete incomplete -> pause(10);
        case Published.Unknown unknown -> pause(10);
      }
    }
  }

  private void told(String word, CheckpointId id) {
    Optional<byte[]> bytes = run.tier().read(run.names().manifest(id));
    String sum = bytes.map(found -> Crc32.hex(Crc32.of(found, 0, found.length))).orElse("purged");
    say(word + " " + id + " " + sum);
  }

  private void commit() {
    Commit commit = new Commit(run);
    while (goesOn()) {
      for (Attempt attempt : run.attempts(run.look())) {
        if (attempt.complete() && commit.publish(attempt.id()) instanceof Published.Committed) {
          told("committed", attempt.id());
        }
      }
      pause(30);
    }
  }

  private void pin() {
    Journal journal = Journal.of(run, CLOCK, nonce, "pinner");
    while (goesOn()) {
      List<CheckpointId> visible = run.look().visible();
      if (!visible.isEmpty()) {
        CheckpointId id = visible.get(luck.nextInt(visible.size()));
        journal.append(List.of(new Fact.Pin(id, true, "")));
        if (Secure.secure(run, id)) {
          say("pinned " + id);
        }
      }
      pause(700);
    }
  }

  private void prune() {
    Deletion deletion = new Deletion(run, CLOCK, nonce, GRACE);
    while (goesOn()) {
      for (DeletionEvent event : deletion.tick(KeepRules.last(KEPT), Set.of())) {
        switch (event) {
          case DeletionEvent.Announced announced -> {}
          case DeletionEvent.Cleared cleared -> {}
          case DeletionEvent.Spared spared -> say("restored " + spared.id() + " " + spared.k());
          case DeletionEvent.Purged purged -> say("purged " + purged.id() + " " + purged.k());
          case DeletionEvent.Failed failed -> throw failed.why();
          case DeletionEvent.Unwritten unwritten -> throw unwritten.why();
        }
      }
      pause(100);
    }
  }

  private void read() {
    while (goesOn()) {
      View view = run.lookDecided(CLOCK);
      if (!view.damaged().isEmpty()) {
        throw view.damaged().getFirst().why();
      }
      view.latest().ifPresent(id -> say("latest " + id));
      List<CheckpointId> visible = view.visible();
      if (!visible.isEmpty()) {
        readHeld(visible.get(luck.nextInt(visible.size())));
      }
      pause(30);
    }
  }

  private void readHeld(CheckpointId id) {
    String reader = "%08x".formatted(luck.nextInt());
    try (ReaderHold hold = ReaderHold.take(run, id, reader)) {
      List<?> problems = Promises.problems(run, id, true);
      if (!problems.isEmpty()) {
        throw new AssertionError("read under a hold: " + id + " " + problems);
      }
    } catch (KeepstoneException.NotFound e) {
      if (!run.tombs(id).purged(id)) {
        throw e;
      }
    }
  }

  private void collect() {
    while (goesOn()) {
      Ages ages = Ages.ask(run, nonce);
      Author author = Author.of(run, CLOCK, nonce, "collector");
      Deletion deletion = new Deletion(run, CLOCK, author, GRACE, ages);
      for (DeletionEvent event : deletion.collect(Garbage.find(run, ages)).events()) {
        if (event instanceof DeletionEvent.Failed failed) {
          throw failed.why();
        }
      }
      Snapshots.take(run, CLOCK);
      pause(500);
    }
  }
}
