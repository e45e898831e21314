package dev.keepstone.agent;

import dev.keepstone.agent.events.EventLog;
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
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Makes segments inside the budget (docs/spec/wire.md "register").
final class Registration {
  private final AgentDirectory directory;
  private final Roster roster;
  private final EventLog events;
  private final Budget budget;

  Registration(AgentDirectory directory, Roster roster, EventLog events, Budget budget) {
    this.directory = directory;
    this.roster = roster;
    this.events = events;
    this.budget = budget;
  }

  /// Lays out, waits for space, makes the segment and lends its first slot.
  ///
  /// @param run of the trainer's start
  /// @throws KeepstoneException.Refused where two slots can never fit
  /// @throws KeepstoneException.Busy where space did not come free in time
  Answer.Register register(Trainer trainer, LiveRun run, Request.Register request)
      throws InterruptedException {
    Membership member = trainer.member();
    int number = trainer.layouts + 1;
    LiveSegment follows = last(trainer, member);
    Set<RegisteredPiece> steady = follows == null ? Set.of() : follows.sharing.steady();
    Layout layout =
        Layout.plan(
            member.owner(trainer.client, number),
            request.layout(),
            piece -> contains(steady, piece));
    Budget.Claim claim = claim(layout, request, member);
    budget.requirePossible(claim);
    if (request.limitRate() != null) {
      // Null leaves what the agent was started with, or what an operator set since.
      run.pace().limit(request.limitRate());
    }
    Previous inherited = keepLast(follows);
    boolean made = false;
    try {
      retireOlder(trainer, member);
      SegmentHead head =
          budget.claim(
              claim,
              () -> {
                giveUpKept();
                // What it saves to write is worth less than a save that waits.
                roster.release(inherited);
              });
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
    return segment.byteLength() <= budget.free();
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

  /// The segment as a claim: with as many of the slots asked for as fit, two at least.
  private static Budget.Claim claim(Layout layout, Request.Register request, Membership member) {
    List<SegmentHead> sizes = new ArrayList<>();
    for (int slots = request.slots(); slots >= SegmentHead.MIN_SLOTS; slots--) {
      sizes.add(SegmentFile.size(layout, slots));
    }
    return new Budget.Claim(member, sizes, request.budget(), request.timeoutMs());
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
}
