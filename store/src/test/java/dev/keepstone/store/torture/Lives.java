package dev.keepstone.store.torture;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.Copy;
import dev.keepstone.Host;
import dev.keepstone.Import;
import dev.keepstone.Store;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.Checkpoints;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.PartOutcome;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.deletion.Ages;
import dev.keepstone.store.deletion.Author;
import dev.keepstone.store.deletion.Deletion;
import dev.keepstone.store.deletion.DeletionEvent;
import dev.keepstone.store.deletion.Garbage;
import dev.keepstone.store.deletion.Undo;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.hold.ReaderHold;
import dev.keepstone.store.hold.Secure;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.journal.Snapshots;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.retention.Plan;
import dev.keepstone.store.retention.Retention;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import dev.keepstone.store.start.Started;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.StoreClock;
import dev.keepstone.testkit.Script;
import dev.keepstone.testkit.Seeds;
import dev.keepstone.testkit.Turns;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;

/// Lives of processes, each drawn from a seed of its own: what they do with the store is the
/// product's code, and what they are told goes into [Promises].
final class Lives {
  private static final Duration HOLD = Deletion.AUTOMATIC_GRACE;

  private static final KeepRules RULES = KeepRules.last(Promises.KEPT);

  private final World world;
  private int launches;

  Lives(World world) {
    this.world = world;
  }

  /// One process: what it sees of the world, and its chance.
  private record Process(Run run, Turns turns, StoreClock clock, Random luck, String nonce) {}

  private interface Life {
    void live(Process process) throws Exception;
  }

  private Script script(Disk host, Life life) {
    Random luck = Seeds.random(world.luck.nextLong());
    String nonce = world.nonce();
    return turns -> {
      StoreClock clock = world.clock(turns);
      Run run = world.open(World.disk(host, turns), clock);
      life.live(new Process(run, turns, clock, luck, nonce));
      return "lived";
    };
  }

  /// The ranks of one launch: each starts, and saves a few steps.
  List<Script> launch(Disk host, Disk otherHost) {
    String token = "launch-" + ++launches;
    int ranks = world.luck.nextInt(3) == 0 ? 2 : 1;
    int saves = 1 + world.luck.nextInt(4);
    int kind = world.luck.nextInt(20);
    List<Script> scripts = new ArrayList<>();
    for (int r = 0; r < ranks; r++) {
      int rank = r;
      scripts.add(
          script(
              r == 0 ? host : otherHost,
              process -> train(process, token, rank, ranks, saves, kind)));
    }
    return scripts;
  }

  private void train(Process process, String token, int rank, int ranks, int saves, int kind) {
    Run run = process.run;
    Starts starts = new Starts(run, process.clock, Starts.Check.none());
    Started started;
    try {
      Start joined = starts.join(token, ranks, wanted(run, kind));
      started = starts.decide(joined);
    } catch (KeepstoneException.NotFound e) {
      return;
    }
    world.promises.started(token, started);
    Commit commit = new Commit(run);
    long step = started.parent().map(CheckpointId::step).orElse(0L);
    Optional<Part> before = Optional.empty();
    for (int save = 0; save < saves; save++) {
      step += 10;
      CheckpointId id = new CheckpointId(started.start(), step);
      Optional<Part> part = stored(process, commit, id, rank, ranks, before);
      if (part.isEmpty() || !published(process, commit, id)) {
        return;
      }
      before = part;
    }
  }

  /// Stores a rank's part; at times its shard has not changed, and is that of the save before.
  private Optional<Part> stored(
      Process process, Commit commit, CheckpointId id, int rank, int ranks, Optional<Part> before) {
    try {
      Part part =
          before.isPresent() && process.luck.nextInt(3) == 0 && stands(process.run, before.get())
              ? Checkpoints.writeUnchanged(process.run, id, before.get())
              : Checkpoints.write(process.run, id, rank, ranks, process.nonce);
      if (commit.putPart(part) instanceof PartOutcome.Stands) {
        world.promises.stored(id);
      }
      return Optional.of(part);
    } catch (KeepstoneException.NotFound e) {
      // So slow that it was taken for dead, and its folder away.
      assertThat(process.run.tombs(id).purged(id)).as("%s of %s", e, id).isTrue();
      return Optional.empty();
    }
  }

  /// Whether what a part names is committed, visible, and nobody wants it gone: as an agent looks
  /// before it names a shard of it.
  private static boolean stands(Run run, Part part) {
    View view = run.look();
    CheckpointId owner = Checkpoints.owner(part);
    return view.visible().contains(owner) && view.tombs().open(owner).isEmpty();
  }

  private static Wanted wanted(Run run, int kind) {
    return switch (kind) {
      case 0 -> Wanted.FRESH;
      case 1, 2 -> {
        List<CheckpointId> standing = run.look().standing();
        yield standing.isEmpty() ? Wanted.MUST : new Wanted.Of(standing.getFirst());
      }
      case 3 -> Wanted.MUST;
      default -> Wanted.LATEST;
    };
  }

  /// Tries to publish for a while, as an agent does.
  ///
  /// @return whether the trainer may go on
  private boolean published(Process process, Commit commit, CheckpointId id) {
    for (int attempt = 0; attempt < 4; attempt++) {
      switch (commit.publish(id)) {
        case Published.Committed() -> {
          world.promises.committed(process.run, id);
          return true;
        }
        case Published.Fenced fenced -> {
          return false;
        }
        case Published.Lost(String why) -> {
          world.promises.lost(id);
          return false;
        }
        case Published.Refused refused -> {
          return false;
        }
        case Published.Unknown unknown -> process.clock.pause(Duration.ofSeconds(2));
        case Published.Incomplete incomplete -> process.clock.pause(Duration.ofSeconds(2));
      }
    }
    return true;
  }

  /// Keeps the run tidy.
  Script keeper(Disk host) {
    return script(
        host,
        process -> {
          Deletion deletion = deletion(process.run, process.clock, process.nonce);
          int rounds = 1 + process.luck.nextInt(6);
          for (int round = 0; round < rounds; round++) {
            requireNoFailure(deletion.tick(RULES, Set.of()));
            boolean late = process.luck.nextInt(4) == 0;
            process.clock.pause(
                late ? Deletion.ABANDONED : Duration.ofSeconds(20 + process.luck.nextInt(100)));
          }
        });
  }

  static Deletion deletion(Run run, StoreClock clock, String nonce) {
    return new Deletion(run, clock, nonce, Deletion.AUTOMATIC_GRACE);
  }

  static void requireNoFailure(List<DeletionEvent> events) {
    for (DeletionEvent event : events) {
      if (event instanceof DeletionEvent.Failed failed) {
        throw new AssertionError("deletion of " + failed.id() + " failed", failed.why());
      }
    }
  }

  /// Deletes a few by name, waits for some of the grace, and perhaps takes it back.
  Script pruner(Disk host) {
    return script(
        host,
        process -> {
          Run run = process.run;
          View view = run.lookDecided(process.clock);
          if (view.undecided() || view.standing().isEmpty()) {
            return;
          }
          Set<CheckpointId> named = Set.of(any(view.standing(), process.luck));
          Deletion deletion = deletion(run, process.clock, process.nonce);
          Plan plan = Retention.planNamed(view, named, deletion.held());
          List<Plan.Entry> entries =
              plan.entries().stream().filter(entry -> named.contains(entry.id())).toList();
          named.forEach(world.promises::unwanted);
          requireNoFailure(deletion.announce(new Plan(entries, List.of()), new Wish.Named()));
          if (process.luck.nextInt(3) == 0) {
            Author author = Author.of(run, process.clock, process.nonce, "undoer");
            Undo.undo(run, Undo.open(run.look().tombs(), named), author);
          }
          for (int round = 0; round < 3; round++) {
            process.clock.pause(Duration.ofSeconds(60));
            requireNoFailure(deletion.round(named));
          }
        });
  }

  /// Collects what the dead have left.
  Script collector(Disk host) {
    return script(host, process -> collect(process.run, process.clock, process.nonce));
  }

  private static void collect(Run run, StoreClock clock, String nonce) {
    Ages ages = Ages.ask(run, nonce);
    Author author = Author.of(run, clock, nonce, "collector");
    Deletion deletion = new Deletion(run, clock, author, Deletion.AUTOMATIC_GRACE, ages);
    requireNoFailure(deletion.round(deletion.open()));
    requireNoFailure(deletion.collect(Garbage.find(run, ages)).events());
  }

  /// Writes down facts, and has snapshots taken.
  Script writer(Disk host) {
    return script(
        host,
        process -> {
          Run run = process.run;
          Journal journal = Journal.of(run, process.clock, process.nonce, "torture");
          for (int fact = 1; fact <= 6; fact++) {
            List<CheckpointId> visible = run.look().visible();
            if (process.luck.nextInt(3) == 0) {
              Snapshots.take(run, process.clock);
            } else if (!visible.isEmpty()) {
              write(process, journal, any(visible, process.luck), fact);
            }
          }
        });
  }

  private void write(Process process, Journal journal, CheckpointId id, int number) {
    switch (process.luck.nextInt(6)) {
      case 0 -> {
        journal.append(List.of(new Fact.Pin(id, true, "")));
        if (Secure.secureSeen(process.run, id)) {
          world.promises.pinned(id);
        }
      }
      case 1 -> {
        world.promises.unpinning(id);
        journal.append(List.of(new Fact.Pin(id, false, "")));
      }
      case 2 -> {
        String tag = "t" + process.nonce + number;
        journal.append(List.of(new Fact.Tag(tag, Optional.of(id))));
        if (Secure.secureSeen(process.run, id)) {
          world.promises.tagged(tag, id);
        }
      }
      default -> {
        Json.Obj metric = Json.object().put(process.nonce, number).build();
        journal.append(List.of(new Fact.Metrics(id, metric)));
        world.promises.noted(process.nonce, id, number);
      }
    }
  }

  private static CheckpointId any(List<CheckpointId> ids, Random luck) {
    return ids.get(luck.nextInt(ids.size()));
  }

  /// Reads a checkpoint under a hold, and expects it to be there for as long as a hold lasts.
  Script reader(Disk host) {
    return script(
        host,
        process -> {
          Run run = process.run;
          List<CheckpointId> visible = run.lookDecided(process.clock).visible();
          if (visible.isEmpty()) {
            return;
          }
          CheckpointId id = any(visible, process.luck);
          long since = world.seconds();
          try (ReaderHold hold = ReaderHold.take(run, id, process.nonce)) {
            for (int read = 0; read < 2; read++) {
              List<?> problems = process.turns.take("read " + id, () -> readAll(id));
              if (world.seconds() - since < HOLD.toSeconds()) {
                assertThat(problems).as("read under a hold: %s", id).isEmpty();
              }
              hold.renew();
              if (world.seconds() - since >= HOLD.toSeconds()) {
                // Renewed too late: it was taken for dead meanwhile.
                return;
              }
              since = world.seconds();
            }
          } catch (KeepstoneException.NotFound e) {
            // Purged before the hold stood.
          }
        });
  }

  /// In one go, and from the disk itself: verification reads by several threads of its own, which
  /// are no actors.
  private List<?> readAll(CheckpointId id) {
    try {
      return Promises.problems(world.open(world.disk(), world.clock()), id, true);
    } catch (KeepstoneException e) {
      return List.of(e);
    }
  }

  /// Copies a checkpoint, and what it uses, into another store.
  Script copier(Disk host) {
    return script(
        host,
        process -> {
          List<CheckpointId> visible = process.run.lookDecided(process.clock).visible();
          if (visible.isEmpty()) {
            return;
          }
          CheckpointId id = any(visible, process.luck);
          Host machine = new Host(World.disk(host, process.turns), process.clock, process.luck);
          String source = World.ROOT + "/" + World.RUN + "@" + id;
          try {
            Copy.run(machine, source, World.COPIES.toString(), Progress.NONE);
            world.promises.copied(id);
          } catch (KeepstoneException.NotFound | KeepstoneException.Integrity e) {
            // Purged before the hold stood, or so slow that its reader was taken for dead.
            assertThat(process.run.tombs(id).purged(id)).as("%s of %s", e, id).isTrue();
          }
        });
  }

  /// Imports a foreign file into a run of its own.
  Script importer(Disk host) {
    long seed = world.luck.nextLong();
    return turns -> {
      Disk disk = World.disk(host, turns);
      Host machine = new Host(disk, world.clock(turns), Seeds.random(seed));
      String name = "import-" + world.nonce();
      String target = World.ROOT + "/" + name;
      try {
        importInto(machine, target);
      } catch (KeepstoneException.Refused e) {
        // An import that died before the store was made left its folder; what is to be done then is
        // what the failure says.
        assertThat(e.next()).startsWith("keepstone init");
        Store.init(machine, World.ROOT);
        importInto(machine, target);
      }
      world.promises.imported(name);
      return name;
    };
  }

  private static void importInto(Host machine, String target) {
    Import.run(machine, World.SOURCE.toString(), target, Import.Options.DEFAULT, Progress.NONE);
  }

  /// Starts the run again, as people do after a power cut, and saves.
  void startAgain(Run run, StoreClock clock) {
    Starts starts = new Starts(run, clock, Starts.Check.none());
    Started started = starts.decide(starts.join("launch-" + ++launches, 1, Wanted.LATEST));
    world.promises.started("launch-" + launches, started);
    long step = started.parent().map(CheckpointId::step).orElse(0L) + 10;
    CheckpointId id = new CheckpointId(started.start(), step);
    Commit commit = new Commit(run);
    commit.putPart(Checkpoints.write(run, id, 0, 1, world.nonce()));
    assertThat(commit.publish(id)).isEqualTo(new Published.Committed());
    world.promises.committed(run, id);
  }

  /// Ages the world and has all of it done by the command alone, run once a day or two.
  void settleByCommand(Run run, StoreClock clock) {
    for (int day = 0; day < 8; day++) {
      world.pass(Duration.ofHours(50));
      collect(run, clock, world.nonce());
    }
  }

  /// Ages the world and goes round as keepers do, until nothing is left to do.
  void settle(Run run, StoreClock clock) {
    Deletion deletion = deletion(run, clock, world.nonce());
    for (int round = 0; round < 18; round++) {
      requireNoFailure(deletion.tick(RULES, Set.of()));
      // Hours first, in which attempts become old; then one grace after another.
      world.pass(round < 14 ? Deletion.ABANDONED : Duration.ofSeconds(100));
    }
    world.pass(Duration.ofHours(30));
    collect(run, clock, world.nonce());
    Snapshots.take(run, clock);
    Snapshots.take(run, clock);
  }
}
