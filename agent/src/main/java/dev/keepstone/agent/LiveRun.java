package dev.keepstone.agent;

import dev.keepstone.agent.drain.Pace;
import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.WireError;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.tier.LocalTier;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// A run that this agent has to do with: its store, the queue of its sealed generations, and the
/// thread that makes them durable one after the other.
///
/// Queue and figures are guarded by [Roster]; the store is opened by whoever needs it first.
final class LiveRun implements AutoCloseable {
  /// How often parts of other ranks are looked for.
  private static final long LOOK_MILLIS = 250;

  /// How long an attempt waits for them.
  private static final long COMMIT_NANOS = TimeUnit.MINUTES.toNanos(20);

  /// How long an attempt whose outcome is not known is looked at. It holds a slot so long.
  private static final long UNKNOWN_NANOS = TimeUnit.MINUTES.toNanos(2);

  /// As much as is told of a damage.
  private static final int MOST_DETAIL = 1000;

  private final RunKey key;
  private final Roster roster;
  private final EventLog events;
  private final Node node;
  private final Pace pace;
  private final FactWriter facts;
  private final Upkeep upkeep;
  private final Publication publication;
  private final DueSaves due;
  private final Thread thread;

  private final Deque<Attempt> queue = new ArrayDeque<>();
  private final List<Stored> stored = new ArrayList<>();
  private int start;
  private @Nullable Long lastSealed;
  private @Nullable Long lastDurable;
  private int failures;

  private final Object opening = new Object();
  private @Nullable Run run;

  /// An attempt whose part stands and whose manifest waits for other ranks.
  private record Stored(Attempt attempt, long since) {}

  LiveRun(RunKey key, Roster roster, EventLog events, Node node, AgentOptions options) {
    this.key = key;
    this.roster = roster;
    this.events = events;
    this.node = node;
    this.pace = new Pace(node.clock()::nanos);
    pace.limit(options.limitRate());
    this.facts = new FactWriter(this, node);
    this.upkeep = new Upkeep(this, events, node, options.grace());
    this.due = new DueSaves(this, roster, events, node);
    this.publication = new Publication(this, roster, events, node);
    this.thread = Thread.ofPlatform().daemon().name("drain-" + key.run()).unstarted(this::work);
  }

  void begin() {
    thread.start();
    upkeep.begin();
    due.begin();
  }

  RunKey key() {
    return key;
  }

  /// What becomes known of its checkpoints after their commit.
  FactWriter facts() {
    return facts;
  }

  /// Saves that somebody asked for.
  DueSaves due() {
    return due;
  }

  Pace pace() {
    return pace;
  }

  /// Whether an announced deletion waits for its end.
  boolean deleting() {
    return upkeep.pending();
  }

  /// Wakes who waits for something of this run.
  void changed() {
    roster.changed();
  }

  /// What became of an attempt that this agent does not remember; empty where the store does not
  /// tell either.
  Optional<Ended> ended(CheckpointId id) {
    return publication.ended(id);
  }

  /// Checkpoints that this agent is writing.
  List<CheckpointId> underWay() {
    synchronized (roster) {
      return Stream.concat(queue.stream(), stored.stream().map(Stored::attempt))
          .map(Attempt::id)
          .toList();
    }
  }

  /// Bytes that the store's file system still has.
  long usableBytes() {
    return open().tier().usableBytes();
  }

  /// A trainer did not save this step.
  void refuse(Trainer trainer, CheckpointId id, Refusal.Why why, String detail) {
    Membership member = trainer.member();
    publication.refuse(id, member.rank(), member.world(), why, detail);
    KeepstoneException.Refused reason =
        new KeepstoneException.Refused(
            why.text() + ": " + detail, id.toString(), "save the next step");
    synchronized (roster) {
      failures++;
      trainer.ended(id, new Ended.Failed(id.toString(), reason));
    }
    events.add("failed", fields(id).put("error", WireError.toJson(reason)).build());
  }

  /// The run in its store; both are made where they are missing.
  ///
  /// @throws dev.keepstone.core.failure.KeepstoneException where the store cannot be had; the next
  ///   call tries again
  Run open() {
    synchronized (opening) {
      Run open = run;
      if (open == null) {
        LocalTier tier =
            new LocalTier(node.disk(), key.store(), node.clock(), node.nonce(), Duration.ZERO);
        open =
            StoreRoot.openOrMake(tier, node.clock())
                .runOrMake(key.run(), node.clock(), node.random());
        run = open;
      }
      return open;
    }
  }

  /// Writes down what was found out about a checkpoint. Where that cannot be, it is noted and no
  /// more: whoever looks next finds it out again.
  void record(Fact.Verdict verdict) {
    try {
      facts.journal().append(List.of(verdict));
    } catch (KeepstoneException e) {
      events.note("the verdict on " + key + "@" + verdict.id() + " is not kept: " + e.what());
    }
    if (!verdict.good()) {
      events.add("quarantined", fields(verdict.id()).put("detail", verdict.detail()).build());
    }
  }

  /// A restore found the checkpoint damaged: the next start passes it over.
  void condemn(CheckpointId id, KeepstoneException.Integrity found) {
    String detail = found.on() + ": " + found.what();
    record(
        new Fact.Verdict(
            id, true, false, detail.substring(0, Math.min(detail.length(), MOST_DETAIL))));
  }

  /// A sealed generation waits for its turn. Under the roster's monitor.
  void enqueue(Attempt attempt) {
    queue.addLast(attempt);
    start = Math.max(start, attempt.id().start());
    lastSealed = attempt.id().step();
  }

  /// A trainer joined this start.
  void started(int number) {
    synchronized (roster) {
      start = Math.max(start, number);
    }
  }

  /// A trainer gave these retention rules: readers without a trainer go by them too.
  void policy(Json.Obj rules) {
    facts.policy(rules);
    upkeep.noted();
  }

  /// Whether something of a dead trainer has no part yet. What has one is not waited for: a start
  /// finishes or awaits it itself, and the outcome may not be known before that start has decided.
  /// Under the roster's monitor.
  boolean owesTheDead() {
    return queue.stream().anyMatch(attempt -> attempt.trainer().gone);
  }

  /// Begins the fields of an event of this run.
  Json.Builder fields() {
    return Json.object().put("store", key.store().toString()).put("run", key.run());
  }

  /// Begins the fields of an event of one checkpoint.
  Json.Builder fields(CheckpointId id) {
    return fields().put("id", id.toString()).put("step", id.step());
  }

  Answer.RunStatus status() {
    synchronized (roster) {
      return new Answer.RunStatus(
          key.store().toString(),
          key.run(),
          start,
          (int) roster.members(key).stream().filter(trainer -> !trainer.gone).count(),
          lastSealed,
          lastDurable,
          queue.size() + stored.size(),
          failures);
    }
  }

  private void work() {
    try {
      while (true) {
        Attempt next = next();
        if (next != null) {
          settle(next, act(next, publication::store));
        }
        look();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /// The next generation, or null where it is time to look for other ranks' parts.
  private @Nullable Attempt next() throws InterruptedException {
    synchronized (roster) {
      while (queue.isEmpty()) {
        if (!stored.isEmpty()) {
          roster.wait(LOOK_MILLIS);
          break;
        }
        roster.wait();
      }
      return queue.peekFirst();
    }
  }

  private void look() throws InterruptedException {
    for (Stored waiting : List.copyOf(stored)) {
      Publication.Step step = act(waiting.attempt(), publication::publish);
      if (step instanceof Publication.Step.Waiting(KeepstoneException why)
          && node.clock().nanos() - waiting.since() > patience(why)) {
        step = publication.giveUp(waiting.attempt(), why);
      }
      if (step instanceof Publication.Step.Over(Ended ended, var _)) {
        synchronized (roster) {
          stored.remove(waiting);
        }
        end(waiting.attempt(), ended);
      }
    }
  }

  private interface Act {
    Publication.Step on(Attempt attempt) throws InterruptedException;
  }

  /// A bug ends its attempt and not this thread: else no later save of the run would ever end.
  private Publication.Step act(Attempt attempt, Act act) throws InterruptedException {
    try {
      return act.on(attempt);
    } catch (RuntimeException e) {
      return publication.giveUp(
          attempt,
          new KeepstoneException.Failed(
              "bug: " + e, key + "@" + attempt.id(), "report this with agent.log", e));
    }
  }

  private static long patience(KeepstoneException why) {
    return why instanceof KeepstoneException.Busy ? COMMIT_NANOS : UNKNOWN_NANOS;
  }

  private void settle(Attempt attempt, Publication.Step step) {
    switch (step) {
      case Publication.Step.Over(Ended ended, var _) -> end(attempt, ended);
      case Publication.Step.Waiting _ -> {
        synchronized (roster) {
          queue.remove(attempt);
          stored.add(new Stored(attempt, node.clock().nanos()));
          // A start may wait for no more than this.
          roster.changed();
        }
      }
    }
  }

  private void end(Attempt attempt, Ended ended) {
    synchronized (roster) {
      queue.remove(attempt);
      switch (ended) {
        case Ended.Committed _ -> lastDurable = attempt.id().step();
        case Ended.Failed _ -> failures++;
        case Ended.Fenced _, Ended.Unknown _ -> {}
      }
      roster.end(attempt, ended);
    }
    roster.sweep();
    if (ended instanceof Ended.Committed(String _, double ms)) {
      // One rank speaks for all; 0 is the word of an agent that was not there.
      if (ms > 0 && attempt.segment().file.layout().owner().rank() == 0) {
        facts.add(new Fact.Durable(attempt.id(), ms));
      }
      upkeep.committed(attempt.segment().file.layout().owner().policy());
    }
  }

  /// Ends drains where they are; what is sealed stays in its segment.
  @Override
  public void close() {
    thread.interrupt();
    upkeep.close();
    due.close();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
