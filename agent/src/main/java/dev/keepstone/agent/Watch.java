package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.memory.RecordLock;
import dev.keepstone.segment.place.AgentDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;

/// Tells the dead from the living, and lets go of what nobody needs.
///
/// A client lives while its lock is held (docs/spec/segment.md §1). Its connection tells nothing:
/// forked data-loader workers keep it open after the trainer's death, and a living trainer may lose
/// it. So locks are asked, by a look at each every [#PERIOD_MILLIS], and at once when a connection
/// ends.
final class Watch {
  static final long PERIOD_MILLIS = 250;

  private final AgentDirectory directory;
  private final Agent agent;
  private final Roster roster;
  private final EventLog events;
  private final InstantSource clock;

  Watch(AgentDirectory directory, Agent agent, EventLog events, InstantSource clock) {
    this.directory = directory;
    this.agent = agent;
    this.roster = agent.roster();
    this.events = events;
    this.clock = clock;
  }

  /// One round: every trainer's lock, everything that may go.
  void round() {
    for (Trainer trainer : roster.trainers()) {
      look(trainer);
    }
    expire();
    letGo();
  }

  /// Frees segments that nothing needs, and forgets the dead that have none.
  void letGo() {
    roster.sweep();
    forget();
  }

  /// Asks whether one trainer lives, and does what its death asks for.
  void look(Trainer trainer) {
    boolean free;
    try {
      free =
          RecordLock.probe(directory.clientLock(trainer.client))
              instanceof RecordLock.Holder.Nobody;
    } catch (KeepstoneException e) {
      // A lock that cannot be asked is taken to be held: a slot given up wrongly is a lost save.
      events.note("cannot look at the lock of client " + trainer.client + ": " + e.what());
      return;
    }
    synchronized (roster) {
      if (!free || trainer.gone) {
        return;
      }
      trainer.gone = true;
      events.add(
          "client-gone",
          Json.object()
              .put("client", trainer.client)
              .put("pid", trainer.pid)
              .put("closed", trainer.closed)
              .build());
      trainer.segments.forEach(this::inherit);
      if (trainer.membership != null) {
        agent.run(trainer.membership.run()).departed(trainer);
      }
      roster.changed();
    }
  }

  /// The lent slot of a dead client: sealed and not yet announced, or half written. The release of
  /// its lock came after every store it made, so a whole seal of the lent generation means whole
  /// data.
  private void inherit(LiveSegment segment) {
    int lent = segment.slots.lent();
    if (lent != Slots.NONE) {
      long generation = segment.slots.generation(lent);
      segment
          .file
          .seal(lent)
          .filter(seal -> seal.generation() == generation)
          .ifPresent(seal -> agent.seal(segment, seal));
    }
    segment.stopLending();
    // Nothing is sealed here any more that could be compared with it.
    segment.forgetInherited();
  }

  /// A dead trainer's last generation stays in memory for a quick restart, but not for ever.
  private void expire() {
    Instant oldest = clock.instant().minus(AgentOptions.KEPT_AFTER_DEATH);
    synchronized (roster) {
      for (Trainer trainer : roster.trainers()) {
        for (LiveSegment segment : trainer.segments) {
          boolean old = segment.lastEnded == null || segment.lastEnded.isBefore(oldest);
          if (trainer.gone && !segment.retired && segment.idle() && old) {
            segment.retire();
          }
        }
      }
    }
  }

  /// A dead trainer without segments leaves its lock file and its name.
  private void forget() {
    List<Trainer> done;
    synchronized (roster) {
      done =
          roster.trainers().stream()
              .filter(
                  trainer -> trainer.gone && trainer.connections == 0 && trainer.segments.isEmpty())
              .toList();
      done.forEach(roster::forget);
    }
    for (Trainer trainer : done) {
      try {
        Files.deleteIfExists(directory.clientLock(trainer.client));
      } catch (IOException e) {
        events.note("cannot remove the lock of client " + trainer.client + ": " + e.getMessage());
      }
    }
  }
}
