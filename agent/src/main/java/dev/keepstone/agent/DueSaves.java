package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.store.due.DueSteps;
import dev.keepstone.store.object.Due;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// Saves of a run that somebody asked for: agrees with the other agents on the step, through the
/// store, and tells the trainers (docs/spec/store.md §11).
///
/// Its monitor is held over looks at the store, so that one process proposes once; [Roster]'s is
/// taken inside it, for moments, and never the other way round.
final class DueSaves implements AutoCloseable {
  /// How often the store is looked at while a trainer lives.
  static final long LOOK_MILLIS = 1000;

  /// Until agents on other nodes have looked, with time for a slow look.
  private static final long NOTICE_MILLIS = 3 * LOOK_MILLIS;

  /// Until trainers of this agent have looked into its record.
  private static final long NEAR_NOTICE_MILLIS = 100;

  /// How seldom a client without a record asks (docs/spec/wire.md "preempt").
  private static final long ASKING_MILLIS = 2000;

  /// How long after its grace a trainer that still lives is given full speed.
  private static final long LIFTED_BEYOND_MILLIS = TimeUnit.MINUTES.toMillis(1);

  private static final long LEAVE_MILLIS = 2000;

  private final LiveRun live;
  private final Roster roster;
  private final EventLog events;
  private final Node node;
  private final Thread thread;

  private int start;
  private @Nullable Due newest;
  private @Nullable Long grace;
  private String problem = "";
  private boolean lifted;
  private long liftedUntil;

  DueSaves(LiveRun live, Roster roster, EventLog events, Node node) {
    this.live = live;
    this.roster = roster;
    this.events = events;
    this.node = node;
    this.thread =
        Thread.ofPlatform().daemon().name("due-" + live.key().run()).unstarted(this::work);
  }

  void begin() {
    thread.start();
  }

  private void work() {
    try {
      while (true) {
        roster.await(() -> !living().isEmpty(), Long.MAX_VALUE);
        look();
        roster.await(() -> false, LOOK_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /// Trainers of the newest start that has any. Under the roster's monitor.
  private List<Trainer> living() {
    List<Trainer> living =
        roster.members(live.key()).stream().filter(trainer -> !trainer.gone).toList();
    int of = living.stream().mapToInt(trainer -> trainer.member().start()).max().orElse(0);
    return living.stream().filter(trainer -> trainer.member().start() == of).toList();
  }

  private List<Trainer> trainers() {
    synchronized (roster) {
      return living();
    }
  }

  /// One look at the store. What fails is told once, and looked at again.
  private synchronized void look() throws InterruptedException {
    List<Trainer> trainers = trainers();
    if (trainers.isEmpty()) {
      return;
    }
    try {
      DueSteps steps = follow(trainers.getFirst().member().start());
      boolean first = trainers.stream().anyMatch(trainer -> trainer.member().rank() == 0);
      if (first && steps.asked(next())) {
        propose(steps, 1, "asked", step(null, 1));
      }
      tell();
      if (node.clock().nanos() - liftedUntil > 0) {
        lower();
      }
      problem = "";
    } catch (RuntimeException e) {
      if (Thread.interrupted()) {
        throw new InterruptedException("the agent ends");
      }
      if (!problem.equals(String.valueOf(e))) {
        problem = String.valueOf(e);
        events.note("looking for saves asked of " + live.key() + ": " + problem);
      }
    }
  }

  /// The due steps of a start, with the newest one known.
  private DueSteps follow(int number) {
    if (start != number) {
      start = number;
      newest = null;
      grace = null;
      lower();
    }
    DueSteps steps = new DueSteps(live.open(), number, node.clock());
    steps.newest(next() - 1).ifPresent(this::stands);
    return steps;
  }

  private int next() {
    return newest == null ? 1 : newest.k() + 1;
  }

  private void stands(Due due) {
    newest = due;
    Json.Builder fields =
        live.fields(due.id())
            .put("why", due.why())
            .put("attempt", due.attempt())
            .put("needs_ms", orNull(needs(due.step())));
    events.add("due", fields.put("grace_ms", grace == null ? Json.NULL : Json.of(grace)).build());
  }

  private static Json orNull(@Nullable Double value) {
    return value == null ? Json.NULL : Json.of(value.doubleValue());
  }

  private void propose(DueSteps steps, int attempt, String why, long step) {
    stands(steps.propose(next(), step, attempt, why, node.nonce()));
  }

  /// A rank asks for a save, has missed one, or only wants to know.
  ///
  /// @throws KeepstoneException.Busy where the tries are used up
  /// @throws KeepstoneException.Fenced where a newer start trains here
  synchronized Answer.Preempt preempt(Trainer trainer, Request.Preempt request) {
    if (!trainers().contains(trainer)) {
      throw new KeepstoneException.Fenced(
          "a newer start of the run trains on this node",
          live.key().toString(),
          "stop this trainer");
    }
    synchronized (roster) {
      trainer.pulse.saw(request.step(), node.clock().nanos());
    }
    DueSteps steps = follow(trainer.member().start());
    if (request.missed() != null) {
      missed(steps, trainer, request.missed(), request.step());
    } else if (request.graceMs() != null) {
      grace = request.graceMs();
      lift(request.graceMs());
      if (newest == null || newest.step() < request.step()) {
        propose(steps, 1, "preemption", step(request.step(), 1));
      }
    }
    tell();
    Due due = newest;
    return due == null
        ? new Answer.Preempt(0, null, grace)
        : new Answer.Preempt(due.step(), needs(due.step()), grace);
  }

  /// The news came too late to this rank: nobody gets that checkpoint, and a later step is due.
  private void missed(DueSteps steps, Trainer trainer, long step, long done) {
    CheckpointId id = new CheckpointId(steps.start(), step);
    boolean saved;
    synchronized (roster) {
      saved = trainer.open.containsKey(id) || trainer.earlier(id).isPresent();
    }
    if (saved) {
      return;
    }
    live.refuse(
        trainer,
        id,
        Refusal.Why.SKIPPED,
        "rank %d had done %d steps when it heard that step %d is due"
            .formatted(trainer.member().rank(), done, step));
    Due due = newest;
    if (due == null || due.step() != step) {
      return;
    }
    if (due.attempt() >= DueSteps.MOST_ATTEMPTS) {
      throw new KeepstoneException.Busy(
          "the ranks did not hear in time of any of " + due.attempt() + " steps proposed to them",
          id.toString(),
          "save at a step that all ranks know, as every=\"…\" does");
    }
    propose(steps, due.attempt() + 1, due.why(), step(null, due.attempt() + 1));
  }

  /// The step to propose.
  ///
  /// @param asking steps done by the rank that asks from within a step and could save at once; null
  ///   where nobody waits in one
  private long step(@Nullable Long asking, int attempt) {
    long now = node.clock().nanos();
    synchronized (roster) {
      List<Trainer> trainers = living();
      int world = trainers.getFirst().member().world();
      if (world == 1 && asking != null) {
        return asking;
      }
      long notice = trainers.size() == world ? NEAR_NOTICE_MILLIS : farNotice();
      if (trainers.stream().anyMatch(trainer -> trainer.segments.isEmpty())) {
        notice += ASKING_MILLIS;
      }
      long nanos = TimeUnit.MILLISECONDS.toNanos(notice << (attempt - 1));
      return leader(trainers).pulse.after(nanos, now);
    }
  }

  private long farNotice() {
    return NOTICE_MILLIS + 2 * live.open().tier().staleness().toMillis();
  }

  private static Trainer leader(List<Trainer> trainers) {
    return trainers.stream()
        .max(Comparator.comparingLong((Trainer trainer) -> trainer.pulse.steps()))
        .orElseThrow();
  }

  /// Milliseconds until a save of that step is durable; null where no drain has been measured.
  private @Nullable Double needs(long step) {
    double bytesPerMs = events.figures().drainRate(live.key().toString());
    synchronized (roster) {
      List<Trainer> trainers = living();
      if (bytesPerMs <= 0 || trainers.isEmpty()) {
        return null;
      }
      long bytes = 0;
      for (Trainer trainer : trainers) {
        bytes += trainer.newest().map(segment -> segment.file.layout().byteLength()).orElse(0L);
        bytes +=
            trainer.open.values().stream()
                .mapToLong(attempt -> attempt.segment().file.layout().byteLength())
                .sum();
      }
      Pulse pulse = leader(trainers).pulse;
      double steps = Math.max(0, step - pulse.steps()) * pulse.stepNanos() / 1e6;
      return Math.round((steps + bytes / bytesPerMs) * 10) / 10.0;
    }
  }

  /// Puts the newest due step where the trainers look.
  private void tell() {
    Due due = newest;
    if (due == null) {
      return;
    }
    synchronized (roster) {
      for (Trainer trainer : living()) {
        if (trainer.member().start() == due.start() && trainer.due != due.step()) {
          trainer.due = due.step();
          trainer.newest().ifPresent(LiveSegment::publish);
        }
      }
    }
  }

  /// Who is about to be ended has no time for a speed limit. Who goes on after all has one again.
  private void lift(long graceMillis) {
    liftedUntil =
        node.clock().nanos() + TimeUnit.MILLISECONDS.toNanos(graceMillis + LIFTED_BEYOND_MILLIS);
    if (!lifted) {
      lifted = true;
      live.pace().lift();
    }
  }

  private void lower() {
    if (lifted) {
      lifted = false;
      live.pace().lower();
    }
  }

  @Override
  public void close() {
    thread.interrupt();
    try {
      thread.join(LEAVE_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
