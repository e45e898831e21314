package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.file.SegmentFile;
import dev.keepstone.segment.file.SegmentHead;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.segment.layout.PiecePlace;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.store.retention.KeepRules;
import java.io.IOException;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Makes segments inside the budget (docs/spec/wire.md "register").
final class Registration {
  /// What the agent's heap has room for ([AgentJvm]).
  static final int MAX_PIECES = 400_000;

  private final AgentDirectory directory;
  private final Roster roster;
  private final EventLog events;
  private final Disk disk;
  private final long budget;

  /// @param budget bytes for all segments of this agent
  Registration(AgentDirectory directory, Roster roster, EventLog events, Disk disk, long budget) {
    this.directory = directory;
    this.roster = roster;
    this.events = events;
    this.disk = disk;
    this.budget = budget;
  }

  /// Lays out, waits for space, makes the segment and lends its first slot.
  ///
  /// @param run of the trainer's start
  /// @throws KeepstoneException.Refused where two slots can never fit
  /// @throws KeepstoneException.Busy where space did not come free in time
  Answer.Register register(Trainer trainer, LiveRun run, Request.Register request)
      throws InterruptedException {
    if (request.layout().pieces().size() > MAX_PIECES) {
      throw new KeepstoneException.Refused(
          "an agent takes up to %d tensors and pieces of one rank, found %d"
              .formatted(MAX_PIECES, request.layout().pieces().size()),
          run.key().toString(),
          "join small tensors, or save fewer components");
    }
    Membership member = trainer.member();
    int number = trainer.layouts + 1;
    LiveSegment follows = last(trainer, member);
    Set<RegisteredPiece> steady = follows == null ? Set.of() : follows.sharing.steady();
    Layout layout =
        Layout.plan(
            member.owner(trainer.client, number),
            request.layout(),
            piece -> contains(steady, piece));
    SegmentHead least = SegmentFile.size(layout, SegmentHead.MIN_SLOTS);
    requirePossible(least, request.budget(), member);
    if (request.limitRate() != null) {
      // Null leaves what the agent was started with, or what an operator set since.
      run.pace().limit(request.limitRate());
    }
    Previous inherited = keepLast(follows);
    boolean made = false;
    try {
      retireOlder(trainer, member);
      SegmentHead head = claim(layout, request, least, member, inherited);
      SegmentFile file;
      try {
        file = SegmentFile.create(directory.segment(trainer.client, number), layout, head.slots());
      } catch (KeepstoneException e) {
        roster.reserve(-head.fileBytes());
        throw e;
      }
      LiveSegment segment = new LiveSegment(file, trainer, follows, inherited);
      add(segment, head, number, run, member);
      made = true;
      return answer(segment, run);
    } finally {
      if (!made) {
        roster.release(inherited);
      }
    }
  }

  private void add(
      LiveSegment segment, SegmentHead head, int number, LiveRun run, Membership member) {
    Trainer trainer = segment.trainer;
    Layout layout = segment.file.layout();
    synchronized (roster) {
      trainer.layouts = number;
      trainer.closed = false;
      roster.add(segment);
      roster.reserve(-head.fileBytes());
    }
    events.add(
        "registered",
        run.fields()
            .put("client", trainer.client)
            .put("rank", member.rank())
            .put("layout", number)
            .put("tensors", layout.pieces().size())
            .put("bytes", layout.byteLength())
            .put("slots", head.slots())
            .put("segment_bytes", head.fileBytes())
            .build());
  }

  private static boolean contains(Set<RegisteredPiece> steady, RegisteredPiece piece) {
    return steady.contains(new RegisteredPiece(piece.component(), piece.piece()));
  }

  /// The segment that a new one follows: the trainer's own, or the newest of a dead trainer of the
  /// same rank; null where there is none.
  private @Nullable LiveSegment last(Trainer trainer, Membership member) {
    synchronized (roster) {
      Stream<Trainer> dead =
          roster.members(member.run()).reversed().stream()
              .filter(other -> other.gone && other.member().rank() == member.rank());
      return Stream.concat(Stream.of(trainer), dead)
          .flatMap(other -> other.newest().stream())
          .findFirst()
          .orElse(null);
    }
  }

  private @Nullable Previous keepLast(@Nullable LiveSegment follows) {
    synchronized (roster) {
      return follows == null ? null : follows.last();
    }
  }

  /// Whether another segment of that size would fit beside all that is there.
  boolean hasRoomBeside(LiveSegment segment) {
    return segment.byteLength() <= Math.min(budget - roster.used(null), memory());
  }

  /// Bytes that another segment may have now.
  long free() {
    return Math.max(0, Math.min(budget - roster.used(null), memory()));
  }

  private static Answer.Register answer(LiveSegment segment, LiveRun run) {
    SegmentHead head = segment.file.head();
    Layout layout = segment.file.layout();
    return new Answer.Register(
        segment.layout(),
        segment.path().toString(),
        head.fileBytes(),
        head.slots(),
        head.slotOffset(),
        head.slotStride(),
        head.stateCapacity(),
        head.constantAt(),
        layout.pieces().stream().map(PiecePlace::at).toList(),
        layout.byteLength(),
        run.usableBytes(),
        KeepRules.read(layout.owner().policy()).most());
  }

  /// The most that this run's segments, and all segments, may have.
  private long limit(@Nullable Long ofRun) {
    return ofRun == null ? budget : Math.min(ofRun, budget);
  }

  private void requirePossible(SegmentHead least, @Nullable Long ofRun, Membership member) {
    long limit = limit(ofRun);
    if (least.fileBytes() > limit) {
      throw new KeepstoneException.Refused(
          "two slots need " + least.fileBytes() + " bytes of shared memory, the budget is " + limit,
          "run " + member.run() + ", rank " + member.rank(),
          ofRun != null && ofRun < budget
              ? "raise the budget of the checkpointer to at least " + least.fileBytes()
              : "start the agent with --budget " + least.fileBytes() + " or more");
    }
  }

  /// Segments of this rank that the new one replaces: the trainer's own, and those of trainers of
  /// this run that died. They go when what is sealed in them has ended.
  private void retireOlder(Trainer trainer, Membership member) {
    synchronized (roster) {
      for (Trainer other : roster.members(member.run())) {
        Membership its = other.member();
        if (other == trainer || (other.gone && its.rank() == member.rank())) {
          other.segments.forEach(LiveSegment::retire);
        }
      }
    }
    roster.sweep();
  }

  /// Waits until the segment fits and promises its bytes, with as many of the slots asked for as
  /// fit, two at least.
  private SegmentHead claim(
      Layout layout,
      Request.Register request,
      SegmentHead least,
      Membership member,
      @Nullable Previous inherited)
      throws InterruptedException {
    SegmentHead[] claimed = new SegmentHead[1];
    boolean fits =
        roster.await(
            () -> {
              long room = room(request.budget(), member);
              if (least.fileBytes() > room) {
                giveUpKept();
                // What it saves to write is worth less than a save that waits.
                roster.release(inherited);
              }
              for (int slots = request.slots(); slots >= SegmentHead.MIN_SLOTS; slots--) {
                SegmentHead head = SegmentFile.size(layout, slots);
                if (head.fileBytes() <= room) {
                  claimed[0] = head;
                  roster.reserve(head.fileBytes());
                  return true;
                }
              }
              return false;
            },
            request.timeoutMs());
    if (!fits) {
      throw noRoom(least, request, member);
    }
    return claimed[0];
  }

  private long room(@Nullable Long ofRun, Membership member) {
    long room = budget - roster.used(null);
    if (ofRun != null) {
      room = Math.min(room, ofRun - roster.used(member.run()));
    }
    return Math.min(room, memory());
  }

  /// What the file system of the segments still has.
  private long memory() {
    try {
      return disk.usableBytes(directory.path());
    } catch (IOException e) {
      throw KeepstoneException.from(e, "look for space", directory.path().toString());
    }
  }

  /// What dead trainers left stays for a quick restore only while nobody needs the space. The next
  /// sweep frees it.
  private void giveUpKept() {
    for (Trainer trainer : roster.trainers()) {
      for (LiveSegment segment : trainer.segments) {
        if (trainer.gone && !segment.retired && segment.idle()) {
          segment.retire();
        }
      }
    }
  }

  private KeepstoneException noRoom(
      SegmentHead least, Request.Register request, Membership member) {
    long memory = memory();
    String on = "run " + member.run() + ", rank " + member.rank();
    synchronized (roster) {
      boolean waiting = roster.used(null) > 0;
      if (least.fileBytes() > memory && !waiting) {
        return new KeepstoneException.Refused(
            "two slots need "
                + least.fileBytes()
                + " bytes of shared memory, "
                + directory.path()
                + " has "
                + memory,
            on,
            "make /dev/shm larger, or set KEEPSTONE_AGENT_DIR to a place that has the space");
      }
      return new KeepstoneException.Busy(
          "two slots need "
              + least.fileBytes()
              + " bytes of shared memory, free are "
              + Math.max(0, room(request.budget(), member)),
          on,
          "wait until older saves are durable, or raise the budget; then register again");
    }
  }

  /// The budget where none was given: half of what the segments' file system has, and no more than
  /// half of the memory that this process may use.
  static long defaultBudget(Disk disk, AgentDirectory directory, long memoryBytes)
      throws IOException {
    return Math.min(disk.usableBytes(directory.path()), memoryBytes) / 2;
  }
}
