package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.deletion.Ages;
import dev.keepstone.store.deletion.Author;
import dev.keepstone.store.deletion.Deletion;
import dev.keepstone.store.deletion.DeletionEvent;
import dev.keepstone.store.deletion.Garbage;
import dev.keepstone.store.deletion.Leftover;
import dev.keepstone.store.journal.Snapshots;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.run.Run;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Keeps a run as its policy says: after each commit, and while an announced deletion waits for its
/// grace, a round of deletion in a thread of low priority, far from the drains. Once an hour it
/// also takes away what dead processes left in the store.
///
/// Where the store has less space than the next save needs, announced deletions are looked at once
/// a second, so that what may go goes first; never before its grace.
final class Upkeep implements AutoCloseable {
  /// Rounds per grace.
  private static final int ROUNDS = 8;

  private static final long SHORTEST_ROUND_MILLIS = 100;

  private static final long LOW_ROUND_MILLIS = 1000;

  private static final Duration SWEEP_EVERY = Duration.ofHours(1);

  private static final Duration LEAVE_PATIENCE = Duration.ofSeconds(10);

  private final LiveRun live;
  private final EventLog events;
  private final Node node;
  private final Duration grace;
  private final Thread thread;

  private @Nullable KeepRules wanted;
  // Of the thread's own.
  private @Nullable Deletion deletion;
  private boolean failed;
  private @Nullable Long sweptAt;

  /// Bytes of the newest save: the next one will need as many.
  private long needs;

  private boolean low;

  private boolean due;
  private boolean pending;

  Upkeep(LiveRun live, EventLog events, Node node, Duration grace) {
    this.live = live;
    this.events = events;
    this.node = node;
    this.grace = grace;
    this.thread =
        Thread.ofPlatform()
            .daemon()
            .priority(Thread.MIN_PRIORITY)
            .name("upkeep-" + live.key().run())
            .unstarted(this::work);
  }

  void begin() {
    thread.start();
  }

  /// A checkpoint was committed under this policy: look what is to go.
  synchronized void committed(Json.Obj policy) {
    try {
      wanted = KeepRules.read(policy);
    } catch (JsonException e) {
      // A newer client's, in a segment that an agent before this one left: nothing is deleted.
      events.note("policy of " + live.key() + ": " + e.getMessage() + "; all is kept");
      return;
    }
    due = true;
    notifyAll();
  }

  /// So many bytes are about to be written, and may be again.
  synchronized void sealed(long bytes) {
    needs = bytes;
    if (pending && low) {
      notifyAll();
    }
  }

  /// Whether a deletion is announced and not concluded.
  synchronized boolean pending() {
    return pending || due;
  }

  private void work() {
    try {
      while (true) {
        round(next());
        lookAtSpace();
        if (sweeps()) {
          sweep();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /// Something waits to be written down.
  synchronized void noted() {
    notifyAll();
  }

  /// The rules of the next round; null where there is only something to write down.
  private synchronized @Nullable KeepRules next() throws InterruptedException {
    while (true) {
      KeepRules rules = wanted;
      if (rules != null && due) {
        due = false;
        // Until the round has looked: in between, the run must not seem to have nothing to do.
        pending = true;
        return rules;
      }
      if (rules != null && pending) {
        long usual = Math.max(SHORTEST_ROUND_MILLIS, grace.toMillis() / ROUNDS);
        wait(low ? Math.min(usual, LOW_ROUND_MILLIS) : usual);
        return rules;
      }
      if (live.facts().isWaiting() && !failed) {
        return null;
      }
      if (sweeps()) {
        return null;
      }
      wait(SWEEP_EVERY.toMillis());
    }
  }

  /// Whether the store lacks the space of another save; told when that begins. Outside of the
  /// monitor: a store that hangs must not hold those who look at it.
  private void lookAtSpace() {
    long free;
    try {
      free = live.usableBytes();
    } catch (KeepstoneException e) {
      // The drain will say so.
      return;
    }
    boolean before;
    long wants;
    synchronized (this) {
      before = low;
      wants = needs;
      low = free < wants;
    }
    if (!before && free < wants) {
      events.add("low-space", live.fields().put("free", free).put("needs", wants).build());
    }
  }

  /// One agent sweeps for all: that of rank 0, once it has committed something.
  private synchronized boolean sweeps() {
    Long before = sweptAt;
    return wanted != null
        && (before == null || node.clock().nanos() - before >= SWEEP_EVERY.toNanos());
  }

  /// Takes away what dead processes left: temporary and orphaned files, dead holds, and, after a
  /// grace, attempts that nobody will finish.
  private void sweep() throws InterruptedException {
    synchronized (this) {
      sweptAt = node.clock().nanos();
    }
    try {
      Run run = live.open();
      Ages ages = Ages.ask(run, node.nonce());
      Author author = Author.of(run, node.clock(), node.nonce(), "agent " + node.nonce());
      List<Leftover> found =
          Garbage.find(run, ages).stream()
              .filter(left -> left.id().map(id -> !live.underWay().contains(id)).orElse(true))
              .toList();
      if (found.isEmpty()) {
        return;
      }
      Deletion.Collected collected =
          new Deletion(run, node.clock(), author, grace, ages).collect(found);
      collected.events().forEach(this::tell);
      events.add(
          "swept",
          live.fields().put("leftovers", found.size()).put("bytes", collected.bytes()).build());
      synchronized (this) {
        // Attempts may have been announced.
        pending = true;
      }
    } catch (RuntimeException e) {
      if (Thread.interrupted()) {
        throw new InterruptedException("the agent ends");
      }
      events.note("sweeping " + live.key() + ": " + e);
    }
  }

  private void round(@Nullable KeepRules asked) throws InterruptedException {
    boolean open = true;
    write();
    if (asked == null) {
      return;
    }
    try {
      deletion().tick(asked, Set.copyOf(live.underWay())).forEach(this::tell);
      Run run = live.open();
      open = !run.look().tombs().open().isEmpty();
    } catch (RuntimeException e) {
      // A bug too: this thread is the only one that deletes, and the next round may do better.
      if (Thread.interrupted()) {
        throw new InterruptedException("the agent ends");
      }
      events.note("upkeep of " + live.key() + ": " + e);
    }
    synchronized (this) {
      pending = open;
    }
    live.changed();
  }

  /// Writes down what waits, and now and then all that is known in one object.
  private void write() throws InterruptedException {
    try {
      if (live.facts().write()) {
        Snapshots.takeWhenDue(live.open(), node.clock());
      }
      failed = false;
    } catch (RuntimeException e) {
      if (Thread.interrupted()) {
        throw new InterruptedException("the agent ends");
      }
      // The next commit tries again.
      failed = true;
      events.note("facts of " + live.key() + ": " + e);
    }
  }

  /// The run's deletion, with what it has seen of announced ones; rules may change under it.
  private Deletion deletion() {
    Deletion known = deletion;
    if (known == null) {
      known = new Deletion(live.open(), node.clock(), node.nonce(), grace);
      deletion = known;
    }
    return known;
  }

  private void tell(DeletionEvent event) {
    CheckpointId id = event.id();
    switch (event) {
      case DeletionEvent.Announced(var _, int _, String why) ->
          events.add(
              "tomb", live.fields(id).put("why", why).put("grace_ms", grace.toMillis()).build());
      case DeletionEvent.Purged(var _, int _, String why, long bytes) ->
          events.add("purged", live.fields(id).put("why", why).put("bytes", bytes).build());
      case DeletionEvent.Cleared(var _, long bytes) ->
          events.add("purged", live.fields(id).put("bytes", bytes).build());
      case DeletionEvent.Spared(var _, int _, String why) ->
          events.note("kept " + live.key() + "@" + id + ": " + why);
      case DeletionEvent.Unwritten(var _, KeepstoneException why) ->
          events.note("journal of " + live.key() + ": " + why.what());
      case DeletionEvent.Failed(var _, KeepstoneException why) ->
          events.note("deleting " + live.key() + "@" + id + ": " + why.what());
    }
  }

  /// Ends with the act under way. Announced deletions are the next agent's.
  @Override
  public void close() {
    thread.interrupt();
    try {
      // Nothing of this agent may act on the store once the next one has the lock.
      thread.join(LEAVE_PATIENCE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
