package dev.keepstone.store.deletion;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.deletion.DeletionEvent.Announced;
import dev.keepstone.store.deletion.DeletionEvent.Purged;
import dev.keepstone.store.deletion.DeletionEvent.Spared;
import dev.keepstone.store.object.Decision;
import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.object.End;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Names.HoldName;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.retention.Needs;
import dev.keepstone.store.retention.Plan;
import dev.keepstone.store.retention.Retention;
import dev.keepstone.store.run.Attempt;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StartsSeen;
import dev.keepstone.store.run.TombsSeen;
import dev.keepstone.store.run.View;
import dev.keepstone.store.tier.Put;
import dev.keepstone.store.tier.StoreClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/// Deletes what a run's rules do not keep. Its state is in the store, waiting times apart: another
/// process adopts the tombs it finds open, and waits their grace anew. Not safe for use by several
/// threads.
public final class Deletion {
  /// The shortest grace of automatic deletion.
  public static final Duration AUTOMATIC_GRACE = Duration.ofSeconds(90);

  /// How long an attempt without a manifest lies before it is taken for abandoned: twice the
  /// longest usual commit, and no less than an hour.
  public static final Duration ABANDONED = Duration.ofHours(1);

  private final Run run;
  private final StoreClock clock;
  private final String nonce;
  private final KeepRules rules;
  private final Duration grace;
  private final Duration holdGrace;

  private final Watch<TombName> tombs = new Watch<>();
  private final Watch<HoldName> holds = new Watch<>();
  private final Watch<Integer> undecided = new Watch<>();
  private final Watch<Attempt> attempts = new Watch<>();

  /// @param nonce who announces, for people
  /// @param grace how long a tomb is watched before needs are looked for
  public Deletion(Run run, StoreClock clock, String nonce, KeepRules rules, Duration grace) {
    this.run = run;
    this.clock = clock;
    this.nonce = nonce;
    this.rules = rules;
    // A need or tomb younger than the staleness may be overlooked by either side.
    Duration least = run.tier().staleness().multipliedBy(2).plusSeconds(1);
    this.grace = run.tier().staleness().isZero() ? grace : longer(grace, least);
    // Readers renew for the automatic grace, whatever a shorter one was asked for by hand.
    this.holdGrace = longer(this.grace, AUTOMATIC_GRACE);
  }

  private static Duration longer(Duration one, Duration other) {
    return one.compareTo(other) > 0 ? one : other;
  }

  /// One round: announces what the rules do not keep and what was abandoned, concludes the tombs
  /// whose grace is over, and removes what still lies there of purged checkpoints. Several calls a
  /// grace keep it going; none is urgent.
  ///
  /// @param draining checkpoints that this process is writing, which are not abandoned
  public List<DeletionEvent> tick(Set<CheckpointId> draining) {
    List<DeletionEvent> events = new ArrayList<>();
    View view = run.look();
    OptionalInt newest = view.starts().newest();
    undecided.see(view.undecided() ? Set.of(newest.orElse(0)) : Set.of(), clock.nanos());
    holds.see(run.holds(), clock.nanos());
    List<TombName> open = view.tombs().open();
    tombs.see(Set.copyOf(open), clock.nanos());
    if (!view.undecided() && view.starts().damaged().isEmpty()) {
      announce(view, draining, events);
    }
    for (TombName tomb : open) {
      attempting(
          tomb.id(),
          events,
          () -> {
            Duration announced = run.tomb(tomb).map(Tomb::grace).orElse(Duration.ZERO);
            if (tombs.reached(tomb, longer(announced, grace), clock.nanos())) {
              conclude(tomb, events);
            }
          });
    }
    for (CheckpointId id : run.leftovers()) {
      attempting(id, events, () -> purge(id, events));
    }
    return events;
  }

  /// What fails for one checkpoint must not keep the others waiting.
  private static void attempting(CheckpointId id, List<DeletionEvent> events, Runnable act) {
    try {
      act.run();
    } catch (KeepstoneException e) {
      events.add(new DeletionEvent.Failed(id, e));
    }
  }

  private void announce(View view, Set<CheckpointId> draining, List<DeletionEvent> events) {
    for (Plan.Entry entry : Retention.plan(view, rules, held()).deletions()) {
      announce(view.tombs(), entry.id(), entry.why(), events);
    }
    Set<Attempt> lying = new HashSet<>(run.attempts(view));
    lying.removeIf(attempt -> draining.contains(attempt.id()));
    attempts.see(lying, clock.nanos());
    for (Attempt attempt : lying) {
      if (attempts.reached(attempt, ABANDONED, clock.nanos())) {
        attempting(attempt.id(), events, () -> abandon(view, attempt, events));
      }
    }
  }

  /// An attempt that nobody has touched for long is finished where it can be, else deleted.
  private void abandon(View view, Attempt attempt, List<DeletionEvent> events) {
    if (attempt.complete() && view.starts().line().has(attempt.id())) {
      new Commit(run).publish(attempt.id());
    } else {
      announce(run.tombs(attempt.id()), attempt.id(), "abandoned", events);
    }
  }

  /// Puts a tomb where none is open.
  void announce(TombsSeen seen, CheckpointId id, String why, List<DeletionEvent> events) {
    if (seen.open(id).isPresent()) {
      return;
    }
    int k = seen.next(id);
    Tomb tomb = new Tomb(run.uid(), id, k, grace, why, nonce, clock.instant());
    attempting(
        id,
        events,
        () -> {
          // Lost: another deleter announced the same.
          if (run.tier().put(run.names().tomb(id, k), tomb.encode()) instanceof Put.Committed) {
            tombs.restart(new TombName(id, k), clock.nanos());
            events.add(new Announced(id, why));
          }
        });
  }

  /// Ends a tomb whose grace is over: looks for needs, in the order that misses none.
  void conclude(TombName tomb, List<DeletionEvent> events) {
    Map<CheckpointId, String> held = held();
    Run.LookToDelete look = run.lookToDelete(tomb.id());
    View view = look.view();
    boolean trusted = view.starts().damaged().isEmpty() && !view.tombs().doubtful(tomb.id());
    if (!trusted || view.tombs().open(tomb.id()).isEmpty()) {
      return;
    }
    if (view.undecided()) {
      voidDeadStart(tomb, view.starts());
      return;
    }
    look.users().forEach(user -> held.putIfAbsent(tomb.id(), user + " is about to use its shards"));
    String need = need(tomb.id(), look, held);
    end(tomb, need, events);
  }

  /// A start that stayed undecided for a whole grace is dead, and may not keep everything waiting
  /// for ever. If it lives after all, its ranks take the next number.
  private void voidDeadStart(TombName tomb, StartsSeen starts) {
    int start = starts.newest().orElse(0);
    if (undecided.reached(start, grace, clock.nanos())) {
      byte[] decision = new Decision(run.uid(), start, new Parent.Void()).encode();
      // However this ends, what was seen before it does not count any more.
      run.tier().put(run.names().parent(start), decision);
      tombs.restart(tomb, clock.nanos());
    }
  }

  /// Why the checkpoint is needed; empty where it is not.
  private String need(CheckpointId id, Run.LookToDelete look, Map<CheckpointId, String> held) {
    View view = look.view();
    boolean onLine = view.starts().line().has(id);
    if (view.damaged().stream().anyMatch(d -> Names.manifestOf(d.file()).equals(Optional.of(id)))) {
      return "its manifest is damaged, so that what it is cannot be told";
    }
    if (!view.standing().contains(id)) {
      return onLine && look.attempt().complete() ? "it wants nothing but its manifest" : "";
    }
    if (!onLine) {
      // Rules count on the line only: a wish that was announced stands when a rollback comes
      // between.
      return String.join(", ", Needs.of(view, held).of(id));
    }
    Plan.Entry entry = Retention.plan(view, rules, held).entry(id).orElseThrow();
    return entry.action() == Plan.Action.KEEP ? entry.why() : "";
  }

  private void end(TombName tomb, String need, List<DeletionEvent> events) {
    CheckpointId id = tomb.id();
    End.Outcome outcome = need.isEmpty() ? End.Outcome.PURGED : End.Outcome.RESTORED;
    byte[] end = new End(run.uid(), id, tomb.k(), outcome).encode();
    // Lost: somebody needed it, or another deleter was faster; then the leftovers of a purge are
    // removed in the same round.
    if (run.tier().put(run.names().end(id, tomb.k()), end) instanceof Put.Committed) {
      if (outcome == End.Outcome.PURGED) {
        purge(id, events);
      } else {
        events.add(new Spared(id, need));
      }
    }
  }

  private void purge(CheckpointId id, List<DeletionEvent> events) {
    events.add(new Purged(id, Purge.purge(run, id)));
  }

  /// Checkpoints held by readers that still live, as far as this process can tell: a hold of which
  /// the same name was seen for a whole grace has lost its reader.
  private Map<CheckpointId, String> held() {
    Map<CheckpointId, String> held = new HashMap<>();
    for (HoldName hold : run.holds()) {
      if (!holds.reached(hold, holdGrace, clock.nanos())) {
        held.put(hold.id(), "reader " + hold.nonce() + " holds it");
      }
    }
    return held;
  }
}
