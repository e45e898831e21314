package dev.keepstone.store.torture;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.fact.Facts;
import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Attempt;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.run.View;
import dev.keepstone.store.start.Started;
import dev.keepstone.store.tier.LocalTier;
import dev.keepstone.store.tier.StoreClock;
import dev.keepstone.store.tier.Tier;
import dev.keepstone.store.verify.Verify;
import dev.keepstone.store.verify.VerifyReport;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/// What processes were told, and what the store owes them for it. Only what was told counts: a
/// process that died before it heard the answer promises nothing.
final class Promises {
  /// Newest checkpoints that every keeper of a torture keeps.
  static final int KEPT = 2;

  private final Map<CheckpointId, Integer> committed = new TreeMap<>();
  private final Set<CheckpointId> lost = new TreeSet<>();
  private final Set<CheckpointId> stored = new TreeSet<>();
  private final Set<String> imported = new TreeSet<>();
  private final Set<CheckpointId> copied = new TreeSet<>();
  private final Map<String, Map<CheckpointId, Long>> notes = new TreeMap<>();
  private final Map<String, CheckpointId> tags = new TreeMap<>();
  private final Set<CheckpointId> pins = new TreeSet<>();
  private final Set<CheckpointId> unpinned = new TreeSet<>();
  private final Set<CheckpointId> gone = new TreeSet<>();
  private final Set<CheckpointId> unwanted = new TreeSet<>();
  private final Map<String, Started> starts = new HashMap<>();
  private @Nullable CheckpointId latest;

  /// A rank was told what its start goes on from: the same as the others of its launch.
  void started(String token, Started started) {
    Started before = starts.putIfAbsent(token, started);
    if (before != null) {
      assertThat(started.start()).as("ranks of %s", token).isEqualTo(before.start());
      assertThat(started.parent()).as("ranks of %s", token).isEqualTo(before.parent());
    }
  }

  /// A rank's part stands, all of the world's do where it is the only one.
  void stored(CheckpointId id) {
    stored.add(id);
  }

  /// Somebody was told that the checkpoint is committed.
  void committed(Run run, CheckpointId id) {
    byte[] bytes = run.tier().read(run.names().manifest(id)).orElse(null);
    if (bytes == null) {
      // Purged since.
      committed.putIfAbsent(id, null);
      return;
    }
    int crc = Crc32.of(bytes, 0, bytes.length);
    Integer before = committed.put(id, crc);
    if (before != null) {
      assertThat(crc).as("manifest of %s, committed twice", id).isEqualTo(before);
    }
  }

  /// Somebody was told that the attempt is over.
  void lost(CheckpointId id) {
    lost.add(id);
  }

  /// Somebody asked by name for the checkpoint to be deleted.
  void unwanted(CheckpointId id) {
    unwanted.add(id);
  }

  /// Somebody was told that a run of one checkpoint has been made.
  void imported(String run) {
    imported.add(run);
  }

  /// Somebody was told that a checkpoint was copied.
  void copied(CheckpointId id) {
    copied.add(id);
  }

  /// A fact of which the newest of a writer counts, is written down under the writer's own name.
  void noted(String writer, CheckpointId id, long value) {
    notes.computeIfAbsent(writer, _ -> new TreeMap<>()).merge(id, value, Math::max);
  }

  /// Somebody was told that a checkpoint has a tag, and that it stays.
  void tagged(String tag, CheckpointId id) {
    tags.put(tag, id);
  }

  /// Somebody was told that a checkpoint is pinned, and that it stays.
  void pinned(CheckpointId id) {
    pins.add(id);
  }

  /// Somebody asked for a pin to be taken away.
  void unpinning(CheckpointId id) {
    pins.remove(id);
    unpinned.add(id);
  }

  /// Looks whether the store keeps its promises.
  ///
  /// @param run where all but imports happens
  /// @param durable whether what lies there has outlived a loss of power: what has not may go with
  ///   the next one, where nobody was told of it
  void check(Run run, StoreClock clock, boolean durable) {
    for (String name : imported) {
      Run made = StoreRoot.open(run.tier()).run(name);
      CheckpointId id = made.look().latest().orElseThrow(() -> new AssertionError(name));
      assertThat(problems(made, id, true)).as("imported %s", name).isEmpty();
    }
    View view = run.lookDecided(clock);
    assertThat(view.damaged()).isEmpty();
    boolean rolledBack = rolledBack(run, view);
    for (CheckpointId id : Set.copyOf(gone)) {
      assertThat(view.standing()).as("purged and back").doesNotContain(id);
    }
    for (var ack : committed.entrySet()) {
      checkCommitted(run, view, ack.getKey(), ack.getValue(), rolledBack, durable);
    }
    for (CheckpointId id : lost) {
      assertThat(view.visible()).as("told lost, yet visible").doesNotContain(id);
    }
    checkFacts(view);
    checkAttempts(run, view);
    CheckpointId now = checkLatest(run, view, rolledBack);
    latest = durable ? now : latest;
  }

  /// Looks whether what was copied is whole by itself, whatever became of it where it came from.
  void checkCopies(Disk disk, StoreClock clock) {
    if (copied.isEmpty()) {
      return;
    }
    Tier tier = new LocalTier(disk, World.COPIES, clock, "0000c0de", Duration.ZERO);
    Run copy = StoreRoot.open(tier).run(World.RUN);
    View view = copy.look();
    assertThat(view.damaged()).isEmpty();
    for (CheckpointId id : copied) {
      assertThat(view.standing()).as("copied").contains(id);
      assertThat(problems(copy, id, true)).as("copied %s", id).isEmpty();
    }
  }

  private void checkCommitted(
      Run run,
      View view,
      CheckpointId id,
      @Nullable Integer crc,
      boolean rolledBack,
      boolean durable) {
    if (run.tombs(id).purged(id)) {
      if (!durable || gone.add(id)) {
        assertThat(parent(view)).as("goes on from what is purged").isNotEqualTo(id);
        if (!rolledBack && !unwanted.contains(id)) {
          Set<CheckpointId> newer = new TreeSet<>(view.visible());
          // Those that were asked for by name count: they may have been there then.
          newer.addAll(unwanted);
          newer.removeIf(other -> other.compareTo(id) <= 0);
          assertThat(newer)
              .as("kept when %s was purged; visible %s", id, view.visible())
              .hasSizeGreaterThanOrEqualTo(KEPT);
        }
      }
      return;
    }
    assertThat(view.standing()).as("committed, told, and gone without an end").contains(id);
    if (!rolledBack) {
      assertThat(view.visible()).as("committed, told, and not on the line").contains(id);
    }
    if (crc != null) {
      byte[] bytes = run.tier().read(run.names().manifest(id)).orElseThrow();
      assertThat(Crc32.of(bytes, 0, bytes.length)).as("manifest of %s", id).isEqualTo(crc);
    }
    assertThat(problems(run, id, false)).as("committed %s", id).isEmpty();
  }

  private static @Nullable CheckpointId parent(View view) {
    int newest = view.starts().newestDecided().orElse(0);
    return view.starts().decided().get(newest) instanceof Parent.Of(CheckpointId id) ? id : null;
  }

  /// Whether a start that counts was asked to go on from somewhere else than the latest.
  private static boolean rolledBack(Run run, View view) {
    return view.starts().decided().entrySet().stream()
        .filter(start -> !(start.getValue() instanceof Parent.Void))
        .map(start -> run.start(start.getKey()).wanted())
        .anyMatch(wanted -> wanted instanceof Wanted.Of || wanted instanceof Wanted.Fresh);
  }

  private void checkFacts(View view) {
    Facts facts = view.facts();
    notes.forEach((writer, values) ->
        values.forEach((id, value) -> {
          Json found = facts.metrics(id).get(writer);
          assertThat(found).as("what %s wrote of %s", writer, id).isInstanceOf(Json.Int.class);
          // A later one may have been written of which nobody was told.
          assertThat(((Json.Int) found).value()).isGreaterThanOrEqualTo(value);
        }));
    tags.forEach((tag, id) -> {
      assertThat(facts.tag(tag)).as("tag %s", tag).contains(id);
      assertThat(view.standing())
          .as("tagged %s, purged: %s", tag, view.tombs().purged(id))
          .contains(id);
    });
    for (CheckpointId id : pins) {
      assertThat(facts.pinned(id) || unpinned.contains(id)).as("pin of %s", id).isTrue();
      assertThat(unpinned.contains(id) || view.standing().contains(id))
          .as("pinned %s stays", id)
          .isTrue();
    }
  }

  private void checkAttempts(Run run, View view) {
    List<Attempt> attempts = run.attempts(view);
    for (Attempt attempt : attempts) {
      assertThat(view.state(attempt)).isIn((Object[]) Attempt.State.values());
    }
    List<CheckpointId> listed = attempts.stream().map(Attempt::id).toList();
    for (CheckpointId id : stored) {
      if (!view.standing().contains(id) && !run.tombs(id).purged(id)) {
        assertThat(listed).as("attempts that have a part").contains(id);
      }
    }
  }

  private @Nullable CheckpointId checkLatest(Run run, View view, boolean rolledBack) {
    CheckpointId now = view.latest().orElse(null);
    if (now != null) {
      assertThat(problems(run, now, true)).as("latest, %s", now).isEmpty();
    }
    CheckpointId before = latest;
    if (before != null && !rolledBack && !unwanted.contains(before)) {
      assertThat(now).as("latest went back from %s", before).isNotNull();
      assertThat(now).as("latest went back").isGreaterThanOrEqualTo(before);
    }
    return now;
  }

  /// Looks at what must be so once nobody has done anything for long, and keepers have gone round.
  void checkSettled(Run run, StoreClock clock) {
    check(run, clock, true);
    View view = run.look();
    assertThat(view.undecided()).as("undecided for ever").isFalse();
    assertThat(view.tombs().open()).as("tombs without an end").isEmpty();
    assertThat(run.attempts(view)).as("attempts that nobody collected").isEmpty();
    assertThat(run.leftovers()).as("left of what is purged").isEmpty();
    for (CheckpointId id : view.standing()) {
      assertThat(problems(run, id, true)).as("standing %s", id).isEmpty();
    }
    Set<String> expected = new HashSet<>();
    view.standing().forEach(id -> expected.add(id.toString()));
    assertThat(new HashSet<>(run.tier().list(run.names().checkpoints())))
        .as("folders")
        .isEqualTo(expected);
  }

  static List<?> problems(Run run, CheckpointId id, boolean deep) {
    VerifyReport report = deep ? Verify.deep(run, id, bytes -> {}) : Verify.quick(run, id);
    return report.problems();
  }
}
