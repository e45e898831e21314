package dev.keepstone.agent;

import dev.keepstone.agent.drain.Pace;
import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.RunStatus;
import dev.keepstone.segment.wire.WireError;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.tier.LocalTier;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// A run that this agent has to do with: its store, the queue of its sealed generations, and the
/// thread that makes them durable one after the other.
///
/// Queue and figures are guarded by [Roster]; the store is opened by whoever needs it first.
final class LiveRun implements AutoCloseable {
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
  private final Departed departed;
  private final Arrivals arrivals;
  private final Committing committing;
  private final Thread thread;

  private final Deque<Attempt> queue = new ArrayDeque<>();
  private int start;
  private @Nullable Long lastSealed;
  private @Nullable Long lastDurable;
  private int failures;

  private final Object opening = new Object();
  private final Object deciding = new Object();
  private @Nullable Run run;

  LiveRun(RunKey key, Roster roster, EventLog events, Node node, AgentOptions options) {
    this.key = key;
    this.roster = roster;
    this.events = events;
    this.node = node;
    this.pace = new Pace(node.clock()::nanos);
    pace.limit(options.limitRate());
    pace.gentle(options.gentle());
    this.facts = new FactWriter(this, node);
    this.upkeep = new Upkeep(this, events, node, options.grace());
    this.due = new DueSaves(this, roster, events, node);
    this.publication = new Publication(this, roster, events, node);
    this.departed = new Departed(this, roster, publication, events, node);
    this.arrivals = new Arrivals(this, events, node);
    this.committing = new Committing(this, roster, publication, departed, node);
    this.thread = Thread.ofPlatform().daemon().name("drain-" + key.run()).unstarted(this::work);
  }

  void begin() {
    thread.start();
    committing.begin();
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
      return Stream.concat(queue.stream().map(Attempt::id), committing.ids().stream()).toList();
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
    events.add("failed", fields(id, member.rank()).put("error", WireError.toJson(reason)).build());
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
    upkeep.sealed(attempt.segment().file.layout().byteLength());
    start = Math.max(start, attempt.id().start());
    lastSealed = attempt.id().step();
  }

  /// The newest start that a trainer of this node joined.
  int start() {
    synchronized (roster) {
      return start;
    }
  }

  /// Who of the newest launch has come to the store.
  Arrivals arrivals() {
    return arrivals;
  }

  /// Held by the rank that looks for a start's parent.
  Object deciding() {
    return deciding;
  }

  /// A trainer is gone. Under the roster's monitor.
  void departed(Trainer trainer) {
    departed.add(trainer);
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

  /// Begins the fields of an event of one rank's save.
  Json.Builder fields(CheckpointId id, int rank) {
    return fields(id).put("rank", rank);
  }

  /// What is known of it beside its events.
  RunStatus status() {
    synchronized (roster) {
      return new RunStatus(
          key.store().toString(),
          key.run(),
          start,
          (int) roster.members(key).stream().filter(trainer -> !trainer.gone).count(),
          lastSealed,
          lastDurable,
          queue.size() + committing.ids().size(),
          failures,
          roster.used(key),
          pace.limit(),
          pace.gentle(),
          null,
          null,
          List.of(),
          List.of());
    }
  }

  private void work() {
    try {
      while (true) {
        Attempt next = next();
        settle(next, store(next));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private Attempt next() throws InterruptedException {
    synchronized (roster) {
      while (queue.isEmpty()) {
        roster.wait();
      }
      return queue.getFirst();
    }
  }

  /// A bug ends its attempt and not this thread: else no later save of the run would ever end.
  private Publication.Step store(Attempt attempt) throws InterruptedException {
    try {
      return publication.store(attempt);
    } catch (RuntimeException e) {
      return publication.conclude(attempt, publication.bug(attempt.id(), e));
    }
  }

  private void settle(Attempt attempt, Publication.Step step) {
    switch (step) {
      case Publication.Step.Over(Ended ended, var _) -> end(attempt, ended);
      case Publication.Step.Waiting _ -> {
        synchronized (roster) {
          queue.remove(attempt);
          // A start may wait for no more than this.
          committing.add(attempt);
        }
      }
    }
  }

  /// An attempt has ended.
  void end(Attempt attempt, Ended ended) {
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
      if (attempt.segment().file.layout().owner().rank() == 0) {
        // One agent deletes for all.
        upkeep.committed(attempt.segment().file.layout().owner().policy());
      }
    }
  }

  /// Ends drains where they are; what is sealed stays in its segment.
  @Override
  public void close() {
    thread.interrupt();
    committing.close();
    upkeep.close();
    due.close();
    join(thread);
  }

  /// Waits for the end of a thread that was interrupted.
  static void join(Thread thread) {
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
