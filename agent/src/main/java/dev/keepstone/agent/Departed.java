package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/// Ranks of this node whose trainer is gone, in a start of several: what the others have begun to
/// save and these did not seal is refused for them, so that nobody waits for what cannot come.
final class Departed {
  private static final long PERIOD = TimeUnit.SECONDS.toNanos(1);

  /// How long one that ended in order is thought of: all ranks end then, and nothing is begun.
  private static final long AFTER_CLOSE = TimeUnit.MINUTES.toNanos(1);

  private final LiveRun live;
  private final Roster roster;
  private final Publication publication;
  private final EventLog events;
  private final Node node;
  private final List<Gone> gone = new ArrayList<>();
  private long roundAt;

  /// @param settled checkpoints of which the rank's part, or refusal, stands
  private record Gone(Trainer trainer, Membership member, long since, Set<CheckpointId> settled) {
    long patience() {
      long asked = member.commitTimeout().toNanos();
      return trainer.closed ? Math.min(AFTER_CLOSE, asked) : asked;
    }
  }

  Departed(LiveRun live, Roster roster, Publication publication, EventLog events, Node node) {
    this.live = live;
    this.roster = roster;
    this.publication = publication;
    this.events = events;
    this.node = node;
    this.roundAt = node.clock().nanos();
  }

  /// A trainer is gone, and what it had sealed is on its way. Under the roster's monitor.
  void add(Trainer trainer) {
    Membership member = trainer.member();
    if (member.world() > 1) {
      gone.add(new Gone(trainer, member, node.clock().nanos(), new HashSet<>()));
      roster.changed();
    }
  }

  /// Under the roster's monitor.
  boolean isEmpty() {
    return gone.isEmpty();
  }

  /// Refuses what the others save, while they may still do so.
  void round() throws InterruptedException {
    long now = node.clock().nanos();
    if (now - roundAt < 0) {
      return;
    }
    roundAt = now + PERIOD;
    List<Gone> ranks;
    synchronized (roster) {
      gone.removeIf(
          rank -> live.start() > rank.member.start() || now - rank.since > rank.patience());
      ranks = List.copyOf(gone);
    }
    Map<Integer, Set<CheckpointId>> unfinished = new HashMap<>();
    for (Gone rank : ranks) {
      try {
        refuse(rank, unfinished.computeIfAbsent(rank.member.start(), publication::unfinished));
      } catch (KeepstoneException e) {
        Publication.requireNotEnding();
        events.note("could not refuse for rank " + rank.member.rank() + ": " + e.what());
      }
    }
  }

  private void refuse(Gone rank, Set<CheckpointId> unfinished) {
    for (CheckpointId id : unfinished) {
      boolean open;
      synchronized (roster) {
        open = rank.trainer.open.containsKey(id);
      }
      if (open || rank.settled.contains(id)) {
        continue;
      }
      if (!publication.hasPart(id, rank.member.rank())) {
        publication.refuse(
            id, rank.member.rank(), rank.member.world(), Refusal.Why.DIED, why(rank.trainer));
      }
      rank.settled.add(id);
    }
  }

  private static String why(Trainer trainer) {
    return "process %d %s without having sealed it"
        .formatted(trainer.pid, trainer.closed ? "has ended" : "is gone");
  }
}
