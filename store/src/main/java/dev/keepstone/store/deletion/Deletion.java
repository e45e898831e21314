package dev.keepstone.store.deletion;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.deletion.DeletionEvent.Announced;
import dev.keepstone.store.deletion.DeletionEvent.Cleared;
import dev.keepstone.store.deletion.DeletionEvent.Failed;
import dev.keepstone.store.deletion.DeletionEvent.Purged;
import dev.keepstone.store.deletion.DeletionEvent.Spared;
import dev.keepstone.store.object.Decision;
import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.object.End;
import dev.keepstone.store.object.Names.HoldName;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.retention.Plan;
import dev.keepstone.store.retention.Retention;
import dev.keepstone.store.run.Attempt;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.TombsSeen;
import dev.keepstone.store.run.View;
import dev.keepstone.store.tier.Put;
import dev.keepstone.store.tier.StoreClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/// Deletes checkpoints of a run: by its rules in [#tick], or what a person wished away by
/// [#announce] and [#round]. Its state is in the store, waiting times apart: another process adopts
/// the tombs it finds open, and waits their grace anew. Not safe for use by several threads.
public final class Deletion {
  /// The shortest grace of automatic deletion.
  public static final Duration AUTOMATIC_GRACE = Duration.ofSeconds(90);

  /// How long an attempt without a manifest lies before it is taken for abandoned: twice the
  /// longest usual commit, and no less than an hour.
  public static final Duration ABANDONED = Duration.ofHours(1);

  private final Run run;
  private final StoreClock clock;
  private final Author author;
  private final Duration grace;
  private final Duration holdGrace;
  private final Duration shortest;

  private final Watch<TombName> tombs = new Watch<>();
  private final Watch<HoldName> holds = new Watch<>();
  private final Watch<Integer> undecided = new Watch<>();
  private final Watch<Attempt> attempts = new Watch<>();
  private final Map<TombName, Tomb> read = new HashMap<>();
  private final Ages ages;
  private Optional<KeepRules> own = Optional.empty();

  /// Since when every grace is watched anew, whatever the ages say.
  private boolean madeVoid;

  /// An agent's: what it did not watch itself is not old to it.
  public Deletion(Run run, StoreClock clock, String nonce, Duration grace) {
    this(run, clock, Author.of(run, clock, nonce, "agent " + nonce), grace, Ages.unknown());
  }

  /// @param author who announces, for people and the journal
  /// @param grace how long a tomb is watched before needs are looked for
  /// @param ages how old things are that this process has not watched
  public Deletion(Run run, StoreClock clock, Author author, Duration grace, Ages ages) {
    this.run = run;
    this.ages = ages;
    this.author = author;
    this.clock = clock;
    // A need or tomb younger than the staleness may be overlooked by either side.
    Duration least = run.tier().staleness().multipliedBy(2).plusSeconds(1);
    this.grace = run.tier().staleness().isZero() ? grace : longer(grace, least);
    // A long grace is what our own tombs ask for, and no reason to let those of others lie.
    this.shortest =
        longer(AUTOMATIC_GRACE, least).compareTo(this.grace) < 0
            ? longer(AUTOMATIC_GRACE, least)
            : this.grace;
    // Readers renew for the automatic grace, whatever a shorter one was asked for by hand.
    this.holdGrace = longer(this.grace, AUTOMATIC_GRACE);
  }

  private static Duration longer(Duration one, Duration other) {
    return one.compareTo(other) > 0 ? one : other;
  }

  /// One round for a run that is trained: concludes the tombs whose grace is over, removes what
  /// still lies there of purged checkpoints, and only then announces what the rules do not keep and
  /// what was abandoned. Several calls a grace keep it going; none is urgent.
  ///
  /// @param rules those of the run, now
  /// @param draining checkpoints that this process is writing, which are not abandoned
  public List<DeletionEvent> tick(KeepRules rules, Set<CheckpointId> draining) {
    own = Optional.of(rules);
    List<DeletionEvent> events = new ArrayList<>();
    View view = look();
    due(view.tombs().open(), events);
    for (CheckpointId id : run.leftovers()) {
      attempting(id, events, () -> events.add(new Cleared(id, Purge.purge(run, id))));
    }
    if (view.undecided() && view.starts().damaged().isEmpty()) {
      // With no tomb open too: as long as it is undecided, nothing is announced either.
      voidDeadStart(view);
    }
    if (!view.undecided() && view.starts().damaged().isEmpty()) {
      Plan plan = Retention.plan(view, rules, held());
      announce(view.tombs(), plan, new Wish.Policy(rules.toJson()), events);
      abandoned(view, draining, events);
    }
    return author.tell(events);
  }

  /// Announces what a plan deletes.
  ///
  /// @param wish what the plan was made by
  public List<DeletionEvent> announce(Plan plan, Wish wish) {
    List<DeletionEvent> events = new ArrayList<>();
    announce(look().tombs(), plan, wish, events);
    return author.tell(events);
  }

  /// One round for people who wait: concludes those tombs of these checkpoints whose grace is over.
  /// Several calls a grace; the first of them begins the grace of tombs that were there before.
  public List<DeletionEvent> round(Set<CheckpointId> ids) {
    List<DeletionEvent> events = new ArrayList<>();
    List<TombName> open = look().tombs().open();
    due(open.stream().filter(tomb -> ids.contains(tomb.id())).toList(), events);
    return author.tell(events);
  }

  /// Checkpoints whose deletion is announced and not concluded.
  public Set<CheckpointId> open() {
    return look().tombs().open().stream().map(TombName::id).collect(Collectors.toSet());
  }

  /// What a [#round] over all tombs would do now: an entry for each whose grace is over.
  public List<Plan.Entry> foretell() {
    List<Tomb> due = new ArrayList<>();
    List<DeletionEvent> ignored = new ArrayList<>();
    due(look().tombs().open(), ignored, due);
    List<Plan.Entry> entries = new ArrayList<>();
    if (due.isEmpty()) {
      return entries;
    }
    Map<CheckpointId, String> held = held();
    Run.LookToDelete look =
        run.lookToDelete(due.stream().map(Tomb::id).collect(Collectors.toSet()));
    View view = look.view();
    if (view.undecided() || !view.starts().damaged().isEmpty()) {
      return entries;
    }
    Judge judge = new Judge(look, held, own);
    for (Tomb tomb : due) {
      CheckpointId id = tomb.id();
      Attempt attempt = look.attempts().get(id);
      long bytes =
          view.manifests().containsKey(id)
              ? view.summary(id).ownBytes()
              : attempt == null ? 0 : attempt.bytes();
      attempting(
          id,
          ignored,
          () -> {
            switch (judge.judge(tomb)) {
              case Judge.Verdict.Goes() ->
                  entries.add(new Plan.Entry(id, Plan.Action.DELETE, List.of(tomb.why()), bytes));
              case Judge.Verdict.Stays(String why) ->
                  entries.add(new Plan.Entry(id, Plan.Action.KEEP, List.of(why), bytes));
              case Judge.Verdict.Open() -> {}
            }
          });
    }
    return entries;
  }

  /// Does away with leftovers: finishes what can be finished, announces abandoned attempts, and
  /// removes the rest.
  ///
  /// @param found by [Garbage#find], with the ages of this deletion
  public Collected collect(List<Leftover> found) {
    List<DeletionEvent> events = new ArrayList<>();
    long bytes = 0;
    for (Leftover leftover : found) {
      switch (leftover.kind()) {
        case FINISHABLE ->
            leftover
                .id()
                .ifPresent(id -> attempting(id, events, () -> new Commit(run).publish(id)));
        case ATTEMPT ->
            leftover
                .id()
                .ifPresent(id ->
                    announce(run.tombs(id), id, new Wish.Abandoned(), leftover.why(), events));
        case UNDECIDED -> voidDeadStart(leftover.name());
        case PURGED ->
            leftover
                .id()
                .ifPresent(id ->
                    attempting(
                        id, events, () -> events.add(new Cleared(id, Purge.purge(run, id)))));
        case ORPHAN, TEMPORARY, HOLD -> {
          run.tier().delete(leftover.name());
          bytes += leftover.bytes();
        }
      }
    }
    return new Collected(author.tell(events), bytes);
  }

  /// @param events what was done about checkpoints
  /// @param bytes of the loose files that were removed
  public record Collected(List<DeletionEvent> events, long bytes) {}

  /// Checkpoints held by readers that still live, as far as this process can tell: a hold of which
  /// the same name was seen for a whole grace has lost its reader. With the reason.
  public Map<CheckpointId, String> held() {
    Map<CheckpointId, String> held = new HashMap<>();
    for (HoldName hold : run.holds()) {
      String name = run.names().hold(hold.id(), hold.nonce(), hold.k());
      boolean dead =
          holds.reached(hold, holdGrace, clock.nanos()) || ages.older(run, name, holdGrace);
      if (!dead) {
        held.put(hold.id(), "reader " + hold.nonce() + " holds it");
      }
    }
    return held;
  }

  /// Takes note of everything that has an age.
  private View look() {
    View view = run.look();
    int newest = view.starts().newest().orElse(0);
    undecided.see(view.undecided() ? Set.of(newest) : Set.of(), clock.nanos());
    holds.see(run.holds(), clock.nanos());
    Set<TombName> open = Set.copyOf(view.tombs().open());
    tombs.see(open, clock.nanos());
    read.keySet().retainAll(open);
    return view;
  }

  /// What fails for one checkpoint must not keep the others waiting.
  private static void attempting(CheckpointId id, List<DeletionEvent> events, Runnable act) {
    try {
      act.run();
    } catch (KeepstoneException e) {
      events.add(new Failed(id, e));
    }
  }

  private void announce(TombsSeen seen, Plan plan, Wish wish, List<DeletionEvent> events) {
    for (Plan.Entry entry : plan.deletions()) {
      announce(seen, entry.id(), wish, entry.why(), events);
    }
  }

  /// Puts a tomb where none is open.
  void announce(
      TombsSeen seen, CheckpointId id, Wish wish, String why, List<DeletionEvent> events) {
    if (seen.open(id).isPresent()) {
      return;
    }
    int k = seen.next(id);
    Tomb tomb = new Tomb(run.uid(), id, k, grace, wish, why, author.nonce(), clock.instant());
    attempting(
        id,
        events,
        () -> {
          // Lost: another deleter announced the same.
          if (run.tier().put(run.names().tomb(id, k), tomb.encode()) instanceof Put.Committed) {
            tombs.restart(new TombName(id, k), clock.nanos());
            events.add(new Announced(id, k, why));
          }
        });
  }

  private void abandoned(View view, Set<CheckpointId> draining, List<DeletionEvent> events) {
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
    CheckpointId id = attempt.id();
    if (attempt.complete() && view.starts().line().has(id)) {
      new Commit(run).publish(id);
    } else {
      announce(run.tombs(id), id, new Wish.Abandoned(), "abandoned", events);
    }
  }

  private void due(Collection<TombName> open, List<DeletionEvent> events) {
    List<Tomb> due = new ArrayList<>();
    due(open, events, due);
    conclude(due, events);
  }

  private void due(Collection<TombName> open, List<DeletionEvent> events, List<Tomb> due) {
    for (TombName name : open) {
      // Most are not: their grace is read only once the shortest one is over.
      if (reached(name, shortest)) {
        attempting(
            name.id(),
            events,
            () -> tomb(name).filter(tomb -> reached(name, tomb.grace())).ifPresent(due::add));
      }
    }
  }

  private boolean reached(TombName name, Duration time) {
    return tombs.reached(name, time, clock.nanos())
        || !madeVoid && ages.older(run, run.names().tomb(name.id(), name.k()), time);
  }

  private Optional<Tomb> tomb(TombName name) {
    Optional<Tomb> tomb = Optional.ofNullable(read.get(name)).or(() -> run.tomb(name));
    tomb.ifPresent(found -> read.put(name, found));
    return tomb;
  }

  /// Ends tombs whose grace is over: looks for needs, once for all of them, in the order that
  /// misses none. However long the ends take after the look, who needs one meanwhile looks for its
  /// tomb, and of two ends the first decides.
  void conclude(List<Tomb> due, List<DeletionEvent> events) {
    if (due.isEmpty()) {
      return;
    }
    Map<CheckpointId, String> held = held();
    Run.LookToDelete look =
        run.lookToDelete(due.stream().map(Tomb::id).collect(Collectors.toSet()));
    View view = look.view();
    if (!view.starts().damaged().isEmpty()) {
      return;
    }
    if (view.undecided()) {
      voidDeadStart(view);
      return;
    }
    // What is kept instead, and the line it is on, may not be durable yet.
    run.makeDurable(run.names().manifests());
    run.makeDurable(run.names().starts());
    Judge judge = new Judge(look, held, own);
    for (Tomb tomb : due) {
      boolean open = view.tombs().open(tomb.id()).isPresent() && !view.tombs().doubtful(tomb.id());
      if (open) {
        attempting(
            tomb.id(),
            events,
            () -> {
              switch (judge.judge(tomb)) {
                case Judge.Verdict.Goes() -> purge(tomb, events);
                case Judge.Verdict.Stays(String why) -> spare(tomb, why, events);
                case Judge.Verdict.Open() -> {}
              }
            });
      }
    }
  }

  private void voidDeadStart(String name) {
    View view = look();
    int start = view.starts().newest().orElse(0);
    // It may have chosen since it was found, or another one come.
    if (view.undecided() && run.names().start(start).equals(name)) {
      makeVoid(start, view);
    }
  }

  /// A start that stayed undecided for a whole grace is dead, and may not keep everything waiting
  /// for ever. If it lives after all, its ranks take the next number.
  private void voidDeadStart(View view) {
    int start = view.starts().newest().orElse(0);
    if (undecided.reached(start, holdGrace, clock.nanos())
        || ages.older(run, run.names().start(start), holdGrace)) {
      makeVoid(start, view);
    }
  }

  private void makeVoid(int start, View view) {
    byte[] decision = new Decision(run.uid(), start, new Parent.Void()).encode();
    // However this ends, what was seen before it does not count any more.
    run.tier().put(run.names().parent(start), decision);
    madeVoid = true;
    view.tombs().open().forEach(tomb -> tombs.restart(tomb, clock.nanos()));
  }

  private void spare(Tomb tomb, String why, List<DeletionEvent> events) {
    // The name of an end is free again once snapshots say that its checkpoint is gone: who stood
    // still from the look until then has restored nothing.
    if (end(tomb, End.Outcome.RESTORED) && !run.tombs(tomb.id()).purged(tomb.id())) {
      events.add(new Spared(tomb.id(), tomb.k(), why));
    }
  }

  private void purge(Tomb tomb, List<DeletionEvent> events) {
    if (end(tomb, End.Outcome.PURGED)) {
      long bytes = Purge.purge(run, tomb.id());
      events.add(new Purged(tomb.id(), tomb.k(), tomb.why(), bytes));
    }
  }

  /// @return whether this end is the one that stands: else somebody needed it, or another deleter
  ///   was faster, and the leftovers of its purge are removed in the next round
  private boolean end(Tomb tomb, End.Outcome outcome) {
    byte[] end = new End(run.uid(), tomb.id(), tomb.k(), outcome).encode();
    return run.tier().put(run.names().end(tomb.id(), tomb.k()), end) instanceof Put.Committed;
  }
}
