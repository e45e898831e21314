package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.tier.StoreClock;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// Who is here and what of theirs is under way: trainers, segments, slots, runs.
///
/// One monitor guards all of it, this object's. What happens under it is bookkeeping of
/// microseconds; nothing that touches a disk, and nothing that copies or maps, is done while it is
/// held. Every change wakes everybody who waits for one.
final class Roster {
  private final EventLog events;
  private final StoreClock clock;
  private final Map<String, Trainer> trainers = new LinkedHashMap<>();
  private final Map<RunKey, LiveRun> runs = new LinkedHashMap<>();

  /// Bytes promised to segments that are being made.
  private long reserved;

  private boolean freeing = true;

  Roster(EventLog events, StoreClock clock) {
    this.events = events;
    this.clock = clock;
  }

  /// Looks how far each trainer says it is.
  synchronized void feelPulses() {
    long now = clock.nanos();
    for (Trainer trainer : trainers.values()) {
      trainer.newest().ifPresent(segment -> trainer.pulse.saw(segment.file.progress(), now));
    }
  }

  /// Waits under the monitor until something holds.
  ///
  /// @return whether it holds; false after the timeout
  synchronized boolean await(BooleanSupplier holds, long timeoutMillis)
      throws InterruptedException {
    long begun = clock.nanos();
    while (!holds.getAsBoolean()) {
      long passed = TimeUnit.NANOSECONDS.toMillis(clock.nanos() - begun);
      if (passed >= timeoutMillis) {
        return false;
      }
      wait(timeoutMillis - passed);
    }
    return true;
  }

  /// Wakes everybody who waits in [#await], after a change outside this class.
  synchronized void changed() {
    notifyAll();
  }

  /// The trainer of that name, new where nobody has greeted under it.
  synchronized Trainer trainer(String client) {
    return trainers.computeIfAbsent(client, Trainer::new);
  }

  synchronized List<Trainer> trainers() {
    return List.copyOf(trainers.values());
  }

  synchronized void forget(Trainer trainer) {
    trainers.remove(trainer.client);
  }

  synchronized List<LiveRun> runs() {
    return List.copyOf(runs.values());
  }

  synchronized @Nullable LiveRun run(RunKey key) {
    return runs.get(key);
  }

  synchronized void add(LiveRun run) {
    runs.put(run.key(), run);
  }

  /// Trainers of one run.
  synchronized List<Trainer> members(RunKey run) {
    return trainers.values().stream()
        .filter(trainer -> trainer.membership != null && trainer.membership.run().equals(run))
        .toList();
  }

  /// Bytes of all segments of one run, or of all runs where it is null.
  synchronized long used(@Nullable RunKey run) {
    long bytes = run == null ? reserved : 0;
    for (Trainer trainer : trainers.values()) {
      for (LiveSegment segment : trainer.segments) {
        if (run == null || Membership.of(segment.file.layout().owner()).run().equals(run)) {
          bytes += segment.byteLength();
        }
      }
    }
    return bytes;
  }

  /// Promises bytes to a segment that is being made, or, negative, takes the promise back.
  synchronized void reserve(long bytes) {
    reserved += bytes;
    notifyAll();
  }

  /// A segment is there: the first slot is lent.
  synchronized void add(LiveSegment segment) {
    segment.trainer.segments.add(segment);
    segment.publish();
    notifyAll();
  }

  /// A generation stands in the lent slot: it waits for its drain, and the next slot is lent.
  synchronized void seal(LiveSegment segment, SealRecord seal, CheckpointId id, LiveRun run) {
    // Before the seal, which lets the generation before it go.
    Previous previous = segment.previous(seal.generation());
    segment.slots.sealed(seal.slot());
    segment.trainer.pulse.saw(seal.step(), clock.nanos());
    segment.publish();
    events.add(
        "sealed",
        run.fields(id)
            .put("rank", segment.file.layout().owner().rank())
            .put("bytes", segment.file.layout().capturedLength())
            .put("stall_ms", millis(seal.stallNanos()))
            .build());
    enqueue(new Attempt(segment, seal, id, previous), run);
  }

  /// A sealed generation that an agent before this one left waits for its drain.
  synchronized void adopt(LiveSegment segment, SealRecord seal, CheckpointId id, LiveRun run) {
    enqueue(new Attempt(segment, seal, id, segment.previous(seal.generation())), run);
  }

  private void enqueue(Attempt attempt, LiveRun run) {
    LiveSegment segment = attempt.segment();
    CheckpointId id = attempt.id();
    segment.trainer.open.put(id, attempt);
    run.enqueue(attempt);
    notifyAll();
  }

  /// Sealed generations that have not ended.
  synchronized int queued() {
    return trainers.values().stream().mapToInt(trainer -> trainer.open.size()).sum();
  }

  /// Whether the agent has nothing to do and nobody to wait for.
  synchronized boolean idle() {
    return trainers.isEmpty() && runs.values().stream().noneMatch(LiveRun::deleting);
  }

  /// The drain of a generation begins.
  synchronized void draining(Attempt attempt) {
    attempt.segment().slots.draining(attempt.slot());
    attempt.segment().publish();
  }

  /// A generation is committed, refused, or failed for good: its slot may be used again.
  synchronized void end(Attempt attempt, Ended ended) {
    release(attempt.previous());
    LiveSegment segment = attempt.segment();
    segment.slots.ended(attempt.slot());
    segment.lastEnded = clock.instant();
    segment.trainer.ended(attempt.id(), ended);
    segment.publish();
    notifyAll();
  }

  /// A generation has been compared with the one before it, or will not be.
  synchronized void release(@Nullable Previous previous) {
    if (previous != null) {
      previous.release();
      notifyAll();
    }
  }

  /// Somebody reads the sealed generations of this checkpoint from memory; they stay until
  /// [#unpin].
  ///
  /// @return one of each rank that has one here, by rank
  synchronized SortedMap<Integer, Pin> pin(RunKey run, CheckpointId id) {
    SortedMap<Integer, Pin> pins = new TreeMap<>();
    for (Trainer trainer : trainers.values()) {
      for (LiveSegment segment : trainer.segments) {
        Membership owner = Membership.of(segment.file.layout().owner());
        if (owner.run().equals(run)
            && owner.start() == id.start()
            && !pins.containsKey(owner.rank())) {
          int slot = segment.slotOf(id.step());
          if (slot != Slots.NONE) {
            segment.slots.pin(slot);
            pins.put(owner.rank(), new Pin(segment, slot));
          }
        }
      }
    }
    return pins;
  }

  synchronized void unpin(Pin pin) {
    pin.segment().slots.unpin(pin.slot());
    pin.segment().publish();
    notifyAll();
  }

  /// A slot that is being read.
  record Pin(LiveSegment segment, int slot) {}

  /// Frees no segment any more, because its name may be another agent's by now. The end of this
  /// process unmaps all.
  synchronized void stopFreeing() {
    freeing = false;
  }

  /// Takes out the segments that nothing needs any more: retired and idle. The caller frees them.
  synchronized List<LiveSegment> takeFree() {
    List<LiveSegment> free = new ArrayList<>();
    if (!freeing) {
      return free;
    }
    for (Trainer trainer : trainers.values()) {
      for (LiveSegment segment : trainer.segments) {
        if (segment.retired && segment.idle()) {
          segment.forgetInherited();
        }
      }
    }
    for (Trainer trainer : trainers.values()) {
      for (LiveSegment segment : List.copyOf(trainer.segments)) {
        if (segment.retired && segment.idle()) {
          trainer.segments.remove(segment);
          free.add(segment);
        }
      }
    }
    if (!free.isEmpty()) {
      notifyAll();
    }
    return free;
  }

  /// Frees what [#takeFree] gives.
  void sweep() {
    for (LiveSegment segment : takeFree()) {
      Membership owner = Membership.of(segment.file.layout().owner());
      long bytes = segment.byteLength();
      segment.free();
      events.add(
          "freed",
          Json.object()
              .put("store", owner.run().store().toString())
              .put("run", owner.run().run())
              .put("segment", String.valueOf(segment.path().getFileName()))
              .put("bytes", bytes)
              .build());
    }
  }

  /// Nanoseconds as the milliseconds of events and answers.
  static double millis(long nanoseconds) {
    return Math.round(nanoseconds / 1e3) / 1e3;
  }
}
