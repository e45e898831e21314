package dev.keepstone.agent;

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

  /// The segment goes once it is idle.
  boolean retired;

  private boolean lending = true;

  /// When its last generation ended; null before the first did.
  @Nullable Instant lastEnded;

  private AgentRecord record;

  /// @param file new, or adopted; its record is the one that goes on
  LiveSegment(SegmentFile file, Trainer trainer) {
    this.file = file;
    this.trainer = trainer;
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
    record = record.next(lent, lent == Slots.NONE ? 0 : slots.generation(lent), slots.states());
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
