package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.agent.place.Memory;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.file.SegmentHead;
import dev.keepstone.segment.place.AgentDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// The shared memory that segments may have, and who gets it: never more than the budget, than the
/// directory's file system has, and than the machine and its control groups leave beside what the
/// agent itself is promised to need.
///
/// Runs that wait are served in the order in which they came; out of turn only who stays within an
/// equal share of the budget, so that neither many small ones nor a large one starve the others.
final class Budget {
  /// What the agent may take beyond segments (docs/architecture.md, "The agent's memory").
  static final long RESIDENT_BYTES = 256L << 20;

  private final AgentDirectory directory;
  private final Roster roster;
  private final EventLog events;
  private final Node node;
  private final long bytes;
  private final long capacity;
  private final Deque<Claim> waiting = new ArrayDeque<>();

  /// A segment that somebody wants.
  ///
  /// @param sizes that it may have, the largest first; the last is the least that will do
  /// @param ofRun bytes for all segments of its run; null for the agent's own
  /// @param timeoutMillis how long its trainer waits
  record Claim(
      Membership member, List<SegmentHead> sizes, @Nullable Long ofRun, long timeoutMillis) {
    long least() {
      return sizes.getLast().fileBytes();
    }

    private String on() {
      return "run " + member.run() + ", rank " + member.rank();
    }
  }

  /// @param asked bytes for all segments; null for half of what is free now
  Budget(AgentDirectory directory, Roster roster, EventLog events, Node node, @Nullable Long asked)
      throws IOException {
    this.directory = directory;
    this.roster = roster;
    this.events = events;
    this.node = node;
    long place = Files.getFileStore(directory.path()).getTotalSpace();
    this.capacity = Math.min(place, Memory.usableBytes());
    this.bytes =
        asked != null
            ? asked
            : Math.min(node.disk().usableBytes(directory.path()), Memory.usableBytes()) / 2;
    if (bytes > capacity) {
      events.note(
          "the budget is %d bytes; %s and the memory of this machine or control group have %d"
              .formatted(bytes, directory.path(), capacity));
    }
  }

  long bytes() {
    return bytes;
  }

  /// Bytes that another segment may have now.
  long free() {
    return Math.max(0, Math.min(bytes - roster.used(null), memory()));
  }

  /// @throws KeepstoneException.Refused where the least size can never fit
  void requirePossible(Claim claim) {
    long limit = limit(claim);
    if (claim.least() > limit) {
      throw refused(
          claim,
          "the budget is " + limit,
          limit < bytes
              ? "raise the budget of the checkpointer to at least " + claim.least()
              : "start the agent with --budget " + claim.least() + " or more");
    }
    if (claim.least() > capacity) {
      throw refused(
          claim,
          directory.path() + " and the memory of this machine or control group have " + capacity,
          "give the container more memory and shared memory, or save from more ranks");
    }
  }

  private long limit(Claim claim) {
    return claim.ofRun() == null ? bytes : Math.min(claim.ofRun(), bytes);
  }

  private static KeepstoneException.Refused refused(Claim claim, String found, String next) {
    return new KeepstoneException.Refused(
        "two slots need " + claim.least() + " bytes of shared memory, " + found, claim.on(), next);
  }

  /// Waits until the segment fits, and promises its bytes, which [Roster#reserve] takes back.
  ///
  /// @param scarce is called, under the roster's monitor, while it does not fit: what can be given
  ///   up for it is
  /// @return the largest size that fits
  /// @throws KeepstoneException.Refused where it can never fit
  /// @throws KeepstoneException.Busy where space did not come free in time, telling who holds it
  SegmentHead claim(Claim claim, Runnable scarce) throws InterruptedException {
    SegmentHead[] claimed = new SegmentHead[1];
    synchronized (roster) {
      waiting.addLast(claim);
    }
    long begun = node.clock().nanos();
    boolean told = false;
    try {
      boolean fits = roster.await(() -> take(claim, scarce, claimed), 0);
      if (!fits) {
        told = true;
        heldUp(claim);
        fits = roster.await(() -> take(claim, scarce, claimed), claim.timeoutMillis());
      }
      if (!fits) {
        throw noRoom(claim);
      }
      return claimed[0];
    } finally {
      synchronized (roster) {
        waiting.removeIf(other -> other == claim);
        roster.changed();
      }
      if (told) {
        events.add(
            "went-on",
            fields(claim).put("ms", Roster.millis(node.clock().nanos() - begun)).build());
      }
    }
  }

  /// Under the roster's monitor.
  private boolean take(Claim claim, Runnable scarce, SegmentHead[] claimed) {
    long room = room(claim);
    if (claim.least() > room) {
      scarce.run();
      return false;
    }
    boolean turn = waiting.peekFirst() == claim;
    for (SegmentHead size : claim.sizes()) {
      if (size.fileBytes() <= room && (turn || withinShare(claim, size.fileBytes()))) {
        claimed[0] = size;
        roster.reserve(size.fileBytes());
        return true;
      }
    }
    return false;
  }

  private boolean withinShare(Claim claim, long more) {
    Set<RunKey> runs = new HashSet<>();
    waiting.forEach(other -> runs.add(other.member().run()));
    roster.trainers().stream()
        .filter(trainer -> !trainer.segments.isEmpty() && trainer.membership != null)
        .forEach(trainer -> runs.add(trainer.member().run()));
    return roster.used(claim.member().run()) + more <= bytes / Math.max(1, runs.size());
  }

  private long room(Claim claim) {
    long room = bytes - roster.used(null);
    if (claim.ofRun() != null) {
      room = Math.min(room, claim.ofRun() - roster.used(claim.member().run()));
    }
    return Math.min(room, memory());
  }

  /// What the file system of the segments still has, and the memory beside what the agent may yet
  /// need for itself.
  private long memory() {
    long place;
    try {
      place = node.disk().usableBytes(directory.path());
    } catch (IOException e) {
      throw KeepstoneException.from(e, "look for space", directory.path().toString());
    }
    long own = Math.max(0, RESIDENT_BYTES - Memory.residentBytes());
    return Math.min(place, node.headroom().getAsLong() - own);
  }

  private void heldUp(Claim claim) {
    events.add(
        "held-up",
        fields(claim)
            .put("needs", claim.least())
            .put("free", Math.max(0, room(claim)))
            .put("by", holders())
            .build());
  }

  private static Json.Builder fields(Claim claim) {
    RunKey run = claim.member().run();
    return Json.object()
        .put("store", run.store().toString())
        .put("run", run.run())
        .put("rank", claim.member().rank())
        .put("why", "memory");
  }

  /// Runs and the bytes they hold, most first.
  private String holders() {
    Map<String, Long> held = new TreeMap<>();
    synchronized (roster) {
      for (Trainer trainer : roster.trainers()) {
        for (LiveSegment segment : trainer.segments) {
          String run = Membership.of(segment.file.layout().owner()).run().toString();
          held.merge(run, segment.byteLength(), Long::sum);
        }
      }
    }
    List<String> told = new ArrayList<>();
    held.entrySet().stream()
        .sorted(Map.Entry.<String, Long>comparingByValue(Comparator.reverseOrder()))
        .forEach(entry -> told.add(entry.getKey() + " " + entry.getValue()));
    return told.isEmpty() ? "nobody" : String.join(", ", told);
  }

  private KeepstoneException noRoom(Claim claim) {
    long memory = memory();
    if (claim.least() > memory && roster.used(null) == 0) {
      return refused(
          claim,
          directory.path() + " and the memory of this machine or control group leave " + memory,
          "free memory, make /dev/shm larger, or set KEEPSTONE_AGENT_DIR to a place that has it");
    }
    return new KeepstoneException.Busy(
        "two slots need "
            + claim.least()
            + " bytes of shared memory, free are "
            + Math.max(0, room(claim))
            + "; held by "
            + holders(),
        claim.on(),
        "wait until older saves are durable, or raise the budget; then register again");
  }
}
