package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import dev.keepstone.store.verify.Scrub;
import dev.keepstone.store.verify.VerifyReport;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// Reads what lies in the stores of this agent's runs to the last byte, one checkpoint after the
/// other, in a thread of low priority and at a limited rate: damage is to be found while an earlier
/// checkpoint is still there, and not by the restore that needs it.
final class Scrubbing implements AutoCloseable {
  /// What was read this recently is not read again: disks do not rot by the hour.
  static final Duration FRESH = Duration.ofDays(1);

  private static final long ROUND_MILLIS = 2000;
  private static final Duration LEAVE_PATIENCE = Duration.ofSeconds(10);

  private final Roster roster;
  private final EventLog events;
  private final Node node;
  private final long bytesPerSecond;
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Thread thread;

  /// When this agent looked at a checkpoint, whatever it found: what is bad stays unverified and
  /// would be read for ever. Of the thread alone.
  private final Map<RunKey, Map<CheckpointId, Long>> looked = new HashMap<>();

  Scrubbing(Roster roster, EventLog events, Node node, long bytesPerSecond) {
    this.roster = roster;
    this.events = events;
    this.node = node;
    this.bytesPerSecond = bytesPerSecond;
    this.thread =
        Thread.ofPlatform()
            .daemon()
            .priority(Thread.MIN_PRIORITY)
            .name("scrub")
            .unstarted(this::work);
  }

  void begin() {
    thread.start();
  }

  private void work() {
    try {
      while (!closed.await(ROUND_MILLIS, TimeUnit.MILLISECONDS)) {
        for (LiveRun live : roster.runs()) {
          round(live);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /// One checkpoint at most, so that every run has its turn.
  private void round(LiveRun live) throws InterruptedException {
    try {
      Run run = live.open();
      Optional<CheckpointId> next = next(live, run.look());
      if (next.isPresent()) {
        scrub(live, run, next.get());
      }
    } catch (RuntimeException e) {
      // A bug too: what is not verified is named, and the next round goes on with another.
      if (closed.getCount() == 0 || Thread.interrupted()) {
        throw new InterruptedException("the agent ends");
      }
      events.note("scrub of " + live.key() + ": " + e);
    }
  }

  private Optional<CheckpointId> next(LiveRun live, View view) {
    List<CheckpointId> busy = live.underWay();
    return Scrub.order(view).stream()
        .filter(id -> !busy.contains(id))
        .filter(id ->
            Scrub.verified(view, id)
                .map(at -> at.plus(FRESH).isBefore(node.clock().instant()))
                .orElse(true))
        .filter(id -> {
          Long at = looked(live).get(id);
          return at == null || node.clock().nanos() - at > FRESH.toNanos();
        })
        .findFirst();
  }

  private Map<CheckpointId, Long> looked(LiveRun live) {
    return looked.computeIfAbsent(live.key(), none -> new HashMap<>());
  }

  private void scrub(LiveRun live, Run run, CheckpointId id) {
    looked(live).put(id, node.clock().nanos());
    String nonce = HexFormat.of().toHexDigits(node.random().nextInt());
    long began = node.clock().nanos();
    VerifyReport report;
    try {
      report = new Scrub(run, node.clock(), nonce, bytesPerSecond).read(id, done -> {});
    } catch (KeepstoneException.NotFound e) {
      // Deleted meanwhile.
      return;
    }
    var verdict = Scrub.verdict(id, report);
    live.record(verdict);
    Json.Builder fields =
        live.fields(id)
            .put("ok", report.ok())
            .put("bytes", report.bytes())
            .put("ms", (node.clock().nanos() - began) / 1e6);
    events.add("scrubbed", (report.ok() ? fields : fields.put("detail", verdict.detail())).build());
  }

  @Override
  public void close() {
    closed.countDown();
    thread.interrupt();
    try {
      // Nothing of this agent may act on the store once the next one has the lock.
      thread.join(LEAVE_PATIENCE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
