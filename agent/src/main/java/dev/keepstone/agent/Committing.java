package dev.keepstone.agent;

import dev.keepstone.agent.Publication.Step;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.store.reference.CheckpointId;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/// Attempts whose part stands and whose manifest waits for other ranks, or for a store that
/// answers: one thread per run looks after them while drains go on (docs/spec/store.md §5).
///
/// Ranks of one node wait together. The agent of rank 0 lists parts as often as a listing is cheap;
/// the k-th agent every k × 2 s, and in between looks at the two names that tell of an end. So
/// requests grow with the number of ranks and no faster, and any agent commits where those before
/// it are gone.
final class Committing implements AutoCloseable {
  private static final long LEAST_PERIOD = TimeUnit.MILLISECONDS.toNanos(250);

  /// Between the looks of one agent and those of the next.
  private static final long STEP = TimeUnit.SECONDS.toNanos(2);

  /// A look takes at most this share of the time.
  private static final long LOOK_SHARE = 4;

  /// Glances become rarer the longer an attempt waits, down to one in [#STEP].
  private static final long GLANCE_SHARE = 8;

  /// How long an attempt whose outcome is not known is looked at. It holds a slot so long.
  private static final long UNKNOWN_NANOS = TimeUnit.MINUTES.toNanos(2);

  private final LiveRun live;
  private final Roster roster;
  private final Publication publication;
  private final Departed departed;
  private final Node node;
  private final Thread thread;
  private final Map<CheckpointId, Waiting> waiting = new LinkedHashMap<>();

  /// One checkpoint for which attempts of this node wait. All but the attempts is of the thread's
  /// own.
  private static final class Waiting {
    final CheckpointId id;
    final int world;
    final List<Attempt> attempts = new ArrayList<>();
    final long since;
    long lookAt;
    long glanceAt;
    long lineAt;

    /// Since when nobody can say what became of it; 0 while that is known.
    long doubtSince;

    Waiting(CheckpointId id, int world, long since) {
      this.id = id;
      this.world = world;
      this.since = since;
      this.lookAt = since;
      this.glanceAt = since;
      this.lineAt = since + STEP;
    }
  }

  Committing(LiveRun live, Roster roster, Publication publication, Departed departed, Node node) {
    this.live = live;
    this.roster = roster;
    this.publication = publication;
    this.departed = departed;
    this.node = node;
    this.thread =
        Thread.ofPlatform().daemon().name("commit-" + live.key().run()).unstarted(this::work);
  }

  void begin() {
    thread.start();
  }

  /// An attempt of this node has its part.
  void add(Attempt attempt) {
    synchronized (roster) {
      int world = attempt.segment().file.layout().owner().world();
      long now = node.clock().nanos();
      Waiting found = waiting.computeIfAbsent(attempt.id(), id -> new Waiting(id, world, now));
      found.attempts.add(attempt);
      if (order(found) == 0) {
        // It may be the last part of all.
        found.lookAt = now;
      }
      roster.changed();
    }
  }

  /// Checkpoints that wait, one for each rank of this node. Under the roster's monitor.
  List<CheckpointId> ids() {
    return waiting.values().stream()
        .flatMap(one -> one.attempts.stream())
        .map(Attempt::id)
        .toList();
  }

  private void work() {
    try {
      while (true) {
        for (Waiting one : due()) {
          turn(one);
        }
        departed.round();
        live.arrivals().round();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private List<Waiting> due() throws InterruptedException {
    synchronized (roster) {
      while (waiting.isEmpty() && departed.isEmpty() && !live.arrivals().pending()) {
        roster.wait();
      }
      long now = node.clock().nanos();
      if (waiting.values().stream().noneMatch(one -> isDue(one, now))) {
        roster.wait(TimeUnit.NANOSECONDS.toMillis(LEAST_PERIOD));
      }
      return List.copyOf(waiting.values());
    }
  }

  private static boolean isDue(Waiting one, long now) {
    return now - one.lookAt >= 0 || now - one.glanceAt >= 0;
  }

  /// How many agents are asked to look before this one: the lowest rank of its own, by nodes. Under
  /// the roster's monitor.
  private int order(Waiting one) {
    return one.attempts.stream()
        .map(attempt -> attempt.trainer().member())
        .mapToInt(member -> Math.ceilDiv(member.rank(), member.local()))
        .min()
        .orElse(0);
  }

  private void turn(Waiting one) throws InterruptedException {
    long now = node.clock().nanos();
    int order;
    synchronized (roster) {
      order = order(one);
    }
    Optional<KeepstoneException> unshared = live.arrivals().unshared(one.id.start(), one.since);
    Step step;
    if (unshared.isPresent()) {
      step = Publication.failed(one.id, unshared.get());
    } else if (now - one.lookAt >= 0 && (order == 0 || now - one.since >= order * STEP)) {
      step = act(one, this::look);
      long end = node.clock().nanos();
      long pause = order == 0 ? LOOK_SHARE * (end - now) : order * STEP;
      one.lookAt = end + Math.max(LEAST_PERIOD, pause);
      one.glanceAt = end + LEAST_PERIOD;
      if (step instanceof Step.Waiting(KeepstoneException why)) {
        step =
            outOfPatience(one, why)
                ? act(one, waits -> publication.timeOut(waits.id, waits.world, why))
                : step;
      }
    } else if (now - one.glanceAt >= 0) {
      step = act(one, waits -> publication.glance(waits.id));
      long pause = Math.clamp((now - one.since) / GLANCE_SHARE, LEAST_PERIOD, STEP);
      one.glanceAt = node.clock().nanos() + pause;
    } else {
      return;
    }
    if (step instanceof Step.Over over) {
      end(one, over);
    }
  }

  private Step look(Waiting one) throws InterruptedException {
    long now = node.clock().nanos();
    if (one.world > 1 && now - one.lineAt >= 0) {
      one.lineAt = now + STEP;
      Optional<Step.Over> overtaken = publication.overtaken(one.id);
      if (overtaken.isPresent()) {
        return overtaken.get();
      }
    }
    return publication.look(one.id, one.world);
  }

  private interface Act {
    Step on(Waiting one) throws InterruptedException;
  }

  /// A bug ends its attempt and not this thread.
  private Step act(Waiting one, Act act) throws InterruptedException {
    try {
      return act.on(one);
    } catch (RuntimeException e) {
      return publication.bug(one.id, e);
    }
  }

  private boolean outOfPatience(Waiting one, KeepstoneException why) {
    long now = node.clock().nanos();
    if (why instanceof KeepstoneException.Busy) {
      one.doubtSince = 0;
      synchronized (roster) {
        Membership member = one.attempts.getFirst().trainer().member();
        return now - one.since > member.commitTimeout().toNanos();
      }
    }
    one.doubtSince = one.doubtSince == 0 ? now : one.doubtSince;
    return now - one.doubtSince > UNKNOWN_NANOS;
  }

  private void end(Waiting one, Step.Over over) {
    List<Attempt> attempts;
    synchronized (roster) {
      waiting.remove(one.id);
      attempts = List.copyOf(one.attempts);
    }
    for (Attempt attempt : attempts) {
      Ended ended = publication.conclude(attempt, over).ended();
      live.end(attempt, ended);
    }
  }

  @Override
  public void close() {
    thread.interrupt();
    LiveRun.join(thread);
  }
}
