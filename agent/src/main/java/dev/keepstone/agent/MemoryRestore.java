package dev.keepstone.agent;

import dev.keepstone.agent.drain.StateArea;
import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.file.SealRecord;
import dev.keepstone.segment.file.SegmentFile;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.store.reference.CheckpointId;
import java.util.List;

/// A restore from a sealed generation: the client maps the segment and copies out of the slot.
final class MemoryRestore implements Restore {
  private final Roster roster;
  private final Roster.Pin pin;
  private final Answer.Open opened;
  private boolean closed;

  private MemoryRestore(Roster roster, Roster.Pin pin, Answer.Open opened) {
    this.roster = roster;
    this.pin = pin;
    this.opened = opened;
  }

  static MemoryRestore open(
      Roster.Pin pin, LiveRun live, CheckpointId id, Roster roster, EventLog events) {
    try {
      Layout layout = pin.segment().file.layout();
      SealRecord seal = pin.segment().file.seal(pin.slot()).orElseThrow();
      StateArea area = StateArea.read(pin.segment().file, seal);
      Answer.Open opened =
          new Answer.Open(
              id.toString(),
              id.step(),
              layout.owner().world(),
              area.metrics(),
              pieces(pin),
              area.tree(),
              new Answer.Source.Memory(
                  pin.segment().path().toString(), pin.segment().file.head().slotAt(pin.slot())));
      events.add(
          "restored",
          live.fields(id).put("from", "memory").put("bytes", layout.byteLength()).build());
      return new MemoryRestore(roster, pin, opened);
    } catch (RuntimeException e) {
      roster.unpin(pin);
      throw e;
    }
  }

  private static List<Answer.OpenedPiece> pieces(Roster.Pin pin) {
    SegmentFile file = pin.segment().file;
    return file.layout().pieces().stream()
        .map(place ->
            new Answer.OpenedPiece(
                file.layout().registered(place), file.fromSlot(pin.slot(), place)))
        .toList();
  }

  @Override
  public Answer.Open opened() {
    return opened;
  }

  @Override
  public Answer.Next next() {
    throw new KeepstoneException.Refused(
        "this restore is from memory", opened.id(), "copy from the segment instead");
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      roster.unpin(pin);
    }
  }
}
