package dev.keepstone.agent;

import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.SegmentStatus;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What lies in shared memory and what will become of it. What dead trainers left stays for a quick
/// restart, for an hour after it is durable; who needs the memory frees it before.
final class Leftovers {
  private final Roster roster;

  Leftovers(Roster roster) {
    this.roster = roster;
  }

  /// Every segment.
  List<SegmentStatus> segments() {
    List<SegmentStatus> found = new ArrayList<>();
    synchronized (roster) {
      for (Trainer trainer : roster.trainers()) {
        trainer.segments.forEach(segment -> found.add(status(segment)));
      }
    }
    return found;
  }

  private static SegmentStatus status(LiveSegment segment) {
    Trainer trainer = segment.trainer;
    Membership owner = Membership.of(segment.file.layout().owner());
    int newest = segment.slots.before(Long.MAX_VALUE);
    Long step =
        newest == Slots.NONE ? null : segment.file.seal(newest).map(SealRecord::step).orElse(null);
    return new SegmentStatus(
        String.valueOf(segment.path().getFileName()),
        owner.run().store().toString(),
        owner.run().run(),
        owner.rank(),
        trainer.pid,
        !trainer.gone,
        step,
        segment.byteLength(),
        fate(segment));
  }

  private static String fate(LiveSegment segment) {
    if (!segment.idle()) {
      return segment.retired
          ? "freed when what is sealed in it is durable"
          : segment.trainer.gone ? "drains, then stays for a restart" : "in use";
    }
    if (segment.retired) {
      return "freed at once";
    }
    if (!segment.trainer.gone) {
      return "in use";
    }
    return segment.lastEnded == null
        ? "freed at once"
        : "stays for a restart until " + segment.lastEnded.plus(AgentOptions.KEPT_AFTER_DEATH);
  }

  /// Frees what dead trainers left and is durable.
  ///
  /// @param of this run's alone; null for all
  Answer.Free free(@Nullable RunKey of) {
    long freed = 0;
    int kept = 0;
    synchronized (roster) {
      for (Trainer trainer : roster.trainers()) {
        for (LiveSegment segment : trainer.segments) {
          RunKey run = Membership.of(segment.file.layout().owner()).run();
          if (trainer.gone && (of == null || of.equals(run))) {
            if (segment.idle()) {
              segment.retire();
              freed += segment.byteLength();
            } else {
              kept++;
            }
          }
        }
      }
    }
    roster.sweep();
    return new Answer.Free(freed, kept);
  }
}
