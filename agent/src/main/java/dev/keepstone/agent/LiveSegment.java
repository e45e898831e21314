package dev.keepstone.agent;

import dev.keepstone.agent.drain.Sharing;
import dev.keepstone.segment.file.AgentRecord;
import dev.keepstone.segment.file.SegmentFile;
import java.nio.file.Path;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/// A segment that the agent holds mapped, with the life of its slots. Guarded by [Roster]; the
/// bytes in its slots belong to whoever the slot's state says.
final class LiveSegment {
  final SegmentFile file;
  final Trainer trainer;
  final Slots slots;
  final Sharing sharing;

  /// The last generation of the segment that this one follows, until the first seal here takes it;
  /// null where there is none.
  private @Nullable Previous inherited;

  /// The segment goes once it is idle.
  boolean retired;

  private boolean lending = true;

  /// When its last generation ended; null before the first did.
  @Nullable Instant lastEnded;

  private AgentRecord record;

  /// @param file new, or adopted; its record is the one that goes on
  /// @param follows the segment before it; null where there is none
  /// @param inherited the last generation there, where it is still to be compared with
  LiveSegment(
      SegmentFile file,
      Trainer trainer,
      @Nullable LiveSegment follows,
      @Nullable Previous inherited) {
    this.file = file;
    this.trainer = trainer;
    this.inherited = inherited;
    this.sharing = new Sharing(file.layout(), follows == null ? null : follows.sharing);
    this.slots = new Slots(file.head().slots());
    this.record = file.agentRecord().orElseGet(() -> AgentRecord.first(file.head().slots()));
  }

  int layout() {
    return file.layout().owner().layout();
  }

  Path path() {
    return file.path();
  }

  long byteLength() {
    return file.head().fileBytes();
  }

  /// What the record in the file said when this was made, or says now.
  AgentRecord record() {
    return record;
  }

  /// Lends the next slot ahead where that may be, and tells the client how all slots stand.
  void publish() {
    if (lending) {
      slots.lend();
    }
    int lent = slots.lent();
    long generation = lent == Slots.NONE ? 0 : slots.generation(lent);
    record = record.next(lent, generation, slots.states(), trainer.due);
    file.write(record);
  }

  /// Takes the lent slot back and lends none any more. Only for a trainer that writes no more into
  /// it.
  void stopLending() {
    lending = false;
    int lent = slots.lent();
    if (lent != Slots.NONE) {
      slots.returned(lent);
    }
    publish();
  }

  /// Nobody saves here any more, and nothing is kept for a quick restore: the segment goes once it
  /// is idle.
  void retire() {
    retired = true;
    stopLending();
  }

  /// Whether nothing in it is needed but, perhaps, the newest generation for a quick restore.
  boolean idle() {
    return slots.idle();
  }

  /// Removes the file and unmaps it. The client's own mapping stays as long as the client wants.
  void free() {
    file.unlink();
    file.close();
  }

  /// The generation before one that is being sealed, kept for the drain to compare with; null where
  /// there is none, or comparing has led to nothing for long.
  @Nullable Previous previous(long generation) {
    Previous kept = inherited;
    inherited = null;
    boolean wanted = sharing.wantsComparison();
    if (kept != null && kept.held()) {
      return kept;
    }
    int slot = slots.before(generation);
    return wanted && slot != Slots.NONE ? new Previous(this, slot) : null;
  }

  /// The last generation here, or what was to be compared with the first one here, kept for the
  /// segment that follows; null where there is neither.
  @Nullable Previous last() {
    int slot = slots.before(Long.MAX_VALUE);
    if (slot != Slots.NONE) {
      return new Previous(this, slot);
    }
    Previous kept = inherited;
    inherited = null;
    return kept;
  }

  /// Gives up what is kept for the first seal here.
  void forgetInherited() {
    if (inherited != null) {
      inherited.release();
      inherited = null;
    }
  }

  /// The slot whose sealed generation is of this step, or [Slots#NONE].
  int slotOf(long step) {
    for (int slot = 0; slot < slots.count(); slot++) {
      boolean readable =
          switch (slots.state(slot)) {
            case SEALED, DRAINING, KEPT -> true;
            case FREE, LENT -> false;
          };
      if (readable && file.seal(slot).filter(seal -> seal.step() == step).isPresent()) {
        return slot;
      }
    }
    return Slots.NONE;
  }
}
