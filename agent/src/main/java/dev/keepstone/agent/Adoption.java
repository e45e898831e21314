package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.file.AgentRecord;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.file.SegmentFile;
import dev.keepstone.segment.file.SlotState;
import dev.keepstone.segment.layout.LayoutOwner;
import dev.keepstone.segment.memory.RecordLock;
import dev.keepstone.segment.place.AgentDirectory;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/// Takes over what an agent before this one left (docs/spec/segment.md §5, second paragraph).
///
/// What the old agent's record calls sealed, draining or kept was announced to it, so it is drained
/// at once, under this agent's nonce; what is committed already ends as soon as the drain looks.
/// The lent slot may hold a seal that nobody was told of: it waits until its client greets or is
/// dead.
final class Adoption {
  private static final String CLIENT_LOCKS = "[0-9a-f]".repeat(16) + ".lock";
  private static final Duration LOCK_YOUTH = Duration.ofMinutes(1);

  private final AgentDirectory directory;
  private final Agent agent;
  private final Roster roster;
  private final EventLog events;
  private final InstantSource clock;

  Adoption(AgentDirectory directory, Agent agent, EventLog events, InstantSource clock) {
    this.directory = directory;
    this.agent = agent;
    this.roster = agent.roster();
    this.events = events;
    this.clock = clock;
  }

  /// Adopts every segment that is whole, and removes what no agent or client can use. Before the
  /// socket is there.
  void adopt() {
    List<SegmentFile> found = new ArrayList<>();
    for (Path path : directory.segments()) {
      try {
        found.add(SegmentFile.open(path));
      } catch (KeepstoneException.Integrity e) {
        // Its agent died while making it, so no slot was ever lent; or it is damaged where nothing
        // tells any more what its slots hold.
        events.note("removed a segment that is not whole: " + path + ": " + e.what());
        remove(path);
      } catch (KeepstoneException e) {
        events.note("cannot adopt " + path + ": " + e.what());
      }
    }
    found.sort(Comparator.comparingInt(file -> file.layout().owner().layout()));
    found.forEach(this::adopt);
    removeLeftovers("*.window");
    removeLeftovers("agent.*.tmp");
    removeLocks();
  }

  private void adopt(SegmentFile file) {
    LayoutOwner owner = file.layout().owner();
    Trainer trainer = roster.trainer(owner.client());
    int sealed;
    synchronized (roster) {
      trainer.membership = Membership.of(owner);
      trainer.layouts = Math.max(trainer.layouts, owner.layout());
      LiveSegment before = trainer.newest().orElse(null);
      LiveSegment segment =
          new LiveSegment(file, trainer, before, before == null ? null : before.last());
      if (before != null) {
        before.retire();
      }
      trainer.due = segment.record().due();
      List<SealRecord> waiting = take(segment);
      roster.add(segment);
      waiting.stream()
          .sorted(Comparator.comparingLong(SealRecord::generation))
          .forEach(seal -> agent.adopt(segment, seal));
      sealed = waiting.size();
    }
    events.add(
        "adopted",
        Json.object()
            .put("store", owner.store())
            .put("run", owner.run())
            .put("client", owner.client())
            .put("segment", String.valueOf(file.path().getFileName()))
            .put("sealed", sealed)
            .build());
  }

  /// Takes over each slot as the record has it.
  ///
  /// @return the seals of generations that may not be committed yet
  private static List<SealRecord> take(LiveSegment segment) {
    AgentRecord record = segment.record();
    List<SealRecord> waiting = new ArrayList<>();
    long last = record.lentGeneration();
    for (int slot = 0; slot < record.states().size(); slot++) {
      Optional<SealRecord> seal = segment.file.seal(slot);
      last = Math.max(last, seal.map(SealRecord::generation).orElse(0L));
      switch (record.states().get(slot)) {
        case FREE -> {}
        case LENT -> segment.slots.adopt(slot, record.lentGeneration(), SlotState.LENT);
        case SEALED, DRAINING, KEPT -> {
          if (seal.isPresent()) {
            segment.slots.adopt(slot, seal.get().generation(), SlotState.SEALED);
            waiting.add(seal.get());
          }
        }
      }
    }
    segment.slots.skipTo(last);
    return waiting;
  }

  /// What only a dead agent can have left, now that this one holds `agent.lock`.
  private void removeLeftovers(String pattern) {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory.path(), pattern)) {
      files.forEach(this::remove);
    } catch (IOException e) {
      events.note("cannot list " + pattern + ": " + e.getMessage());
    }
  }

  /// Locks of clients that died without a segment. One that was made just now may belong to a
  /// client that is about to take it.
  private void removeLocks() {
    Instant recent = clock.instant().minus(LOCK_YOUTH);
    try (DirectoryStream<Path> locks = Files.newDirectoryStream(directory.path(), CLIENT_LOCKS)) {
      for (Path lock : locks) {
        String client = String.valueOf(lock.getFileName()).replace(".lock", "");
        boolean known = roster.trainers().stream().anyMatch(it -> it.client.equals(client));
        if (!known
            && Files.getLastModifiedTime(lock).toInstant().isBefore(recent)
            && RecordLock.probe(lock) instanceof RecordLock.Holder.Nobody) {
          remove(lock);
        }
      }
    } catch (IOException | DirectoryIteratorException | KeepstoneException e) {
      events.note("cannot look at the locks of clients: " + e.getMessage());
    }
  }

  private void remove(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      events.note("cannot remove " + file + ": " + e.getMessage());
    }
  }
}
