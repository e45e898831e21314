package dev.keepstone.segment.file;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.segment.layout.LayoutCodec;
import dev.keepstone.segment.layout.PiecePlace;
import dev.keepstone.segment.layout.ShardPlace;
import dev.keepstone.segment.memory.SharedFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Optional;

/// One file of shared memory: the slots of one rank and layout, and the records by which agent and
/// client hand them to each other.
///
/// What is in the file is believed only after it is copied out and checked. The two sides order
/// their memory by the socket or by death, as docs/spec/segment.md section 5 tells; the fences here
/// order the agent's record, which the client reads without either.
public final class SegmentFile implements AutoCloseable {
  private static final ValueLayout.OfLong STEPS =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final SharedFile file;
  private final SegmentHead head;
  private final Layout layout;

  private SegmentFile(SharedFile file, SegmentHead head, Layout layout) {
    this.file = file;
    this.head = head;
    this.layout = layout;
  }

  /// How large the file of a layout is, to be compared with a budget before it is made.
  ///
  /// @throws KeepstoneException.Refused where that is beyond any machine
  public static SegmentHead size(Layout layout, int slots) {
    return size(layout, json(layout), slots);
  }

  private static SegmentHead size(Layout layout, byte[] json, int slots) {
    String on = "layout of rank " + layout.owner().rank() + " of run " + layout.owner().run();
    if (slots < SegmentHead.MIN_SLOTS || slots > SegmentHead.MAX_SLOTS) {
      throw new KeepstoneException.Refused(
          "expected "
              + SegmentHead.MIN_SLOTS
              + " to "
              + SegmentHead.MAX_SLOTS
              + " slots, found "
              + slots,
          on,
          "ask for another number of slots");
    }
    if (json.length > SegmentHead.MAX_LAYOUT_BYTES) {
      throw new KeepstoneException.Refused(
          "a layout has at most "
              + SegmentHead.MAX_LAYOUT_BYTES
              + " bytes as JSON, found "
              + json.length,
          on,
          "keep large values as tensors");
    }
    try {
      return SegmentHead.of(layout, json, slots);
    } catch (ArithmeticException e) {
      throw new KeepstoneException.Refused(
          slots + " slots of " + layout.slotBytes() + " bytes are more than fit 63 bits",
          on,
          "register less");
    }
  }

  private static byte[] json(Layout layout) {
    return JsonWriter.bytes(LayoutCodec.toJson(layout));
  }

  /// Makes a segment: reserved, populated, shard headers in every slot, all slots free. Nothing is
  /// left where that fails.
  ///
  /// @throws KeepstoneException.NoSpace where memory lacks
  public static SegmentFile create(Path path, Layout layout, int slots) {
    byte[] json = json(layout);
    SegmentHead head = size(layout, json, slots);
    SharedFile file = SharedFile.create(path, head.fileBytes());
    try {
      SegmentFile segment = new SegmentFile(file, head, layout);
      segment.put(SegmentHead.LAYOUT_AT, json);
      for (int shard = 0; shard < layout.shards().size(); shard++) {
        byte[] header = layout.header(shard);
        ShardPlace place = layout.shards().get(shard);
        for (int slot = 0; slot < (place.constant() ? 1 : slots); slot++) {
          MemorySegment.copy(
              header,
              0,
              segment.area(slot, shard),
              ValueLayout.JAVA_BYTE,
              place.offset(),
              header.length);
        }
      }
      segment.write(AgentRecord.first(slots));
      // The head goes last: without it the file is no segment.
      VarHandle.releaseFence();
      segment.put(0, head.encode());
      return segment;
    } catch (RuntimeException | Error e) {
      try (file) {
        file.unlink();
      }
      throw e;
    }
  }

  /// Maps an existing segment for reading and writing: a client its own, a new agent what an old
  /// one left.
  ///
  /// @throws KeepstoneException.Integrity saying what is wrong with it
  public static SegmentFile open(Path path) {
    return open(SharedFile.openWritable(path));
  }

  private static SegmentFile open(SharedFile file) {
    boolean done = false;
    try {
      MemorySegment bytes = file.bytes();
      if (bytes.byteSize() < SegmentHead.LAYOUT_AT) {
        throw new DamageException(
            "expected at least " + SegmentHead.LAYOUT_AT + " bytes, found " + bytes.byteSize());
      }
      SegmentHead head = SegmentHead.decode(take(bytes, 0, SegmentHead.BYTES), bytes.byteSize());
      Layout layout = readLayout(bytes, head);
      done = true;
      return new SegmentFile(file, head, layout);
    } catch (DamageException e) {
      throw new KeepstoneException.Integrity(
          String.valueOf(e.getMessage()),
          file.path().toString(),
          "remove the file; what was sealed in it is lost",
          e);
    } finally {
      if (!done) {
        file.close();
      }
    }
  }

  private static Layout readLayout(MemorySegment bytes, SegmentHead head) throws DamageException {
    byte[] json = take(bytes, SegmentHead.LAYOUT_AT, (int) head.layoutBytes());
    int crc = Crc32.of(json, 0, json.length);
    if (crc != head.layoutCrc()) {
      throw new DamageException(
          "layout: expected crc32 " + Crc32.hex(head.layoutCrc()) + ", found " + Crc32.hex(crc));
    }
    Layout layout;
    try {
      layout = LayoutCodec.read(JsonReader.readObject(json));
    } catch (JsonException e) {
      throw new DamageException("layout: " + e.getMessage());
    }
    if (layout.stateCapacity() != head.stateCapacity() || layout.slotBytes() != head.slotBytes()) {
      throw new DamageException(
          "layout: expected slots of "
              + head.slotBytes()
              + " bytes with "
              + head.stateCapacity()
              + " of state, found "
              + layout.slotBytes()
              + " with "
              + layout.stateCapacity());
    }
    if (layout.constantBytes() > head.fileBytes() - head.constantAt()) {
      throw new DamageException(
          "layout: expected at most "
              + (head.fileBytes() - head.constantAt())
              + " constant bytes, found "
              + layout.constantBytes());
    }
    return layout;
  }

  public Path path() {
    return file.path();
  }

  public SegmentHead head() {
    return head;
  }

  public Layout layout() {
    return layout;
  }

  /// Faults the mapping in. Needed after [#open] alone.
  public void populate() {
    file.populate();
  }

  /// The newest whole record of the agent; empty where both copies are damaged or just being
  /// written, so ask again.
  public Optional<AgentRecord> agentRecord() {
    Optional<AgentRecord> newest = Optional.empty();
    for (int copy = 0; copy < 2; copy++) {
      Optional<AgentRecord> record =
          AgentRecord.decode(
              take(file.bytes(), AgentRecord.at(copy), AgentRecord.BYTES), head.slots());
      if (record.isPresent()
          && record.get().at() == AgentRecord.at(copy)
          && (newest.isEmpty() || record.get().sequence() > newest.get().sequence())) {
        newest = record;
      }
    }
    // The slot that it lends is not to be touched before the record was read.
    VarHandle.acquireFence();
    return newest;
  }

  /// Writes a record over the older copy.
  public void write(AgentRecord record) {
    // What the agent read from a slot, it has read before it lends the slot again.
    VarHandle.releaseFence();
    put(record.at(), record.encode());
  }

  /// The seal of a slot, whichever generation it is of; empty where there is none or it is torn.
  /// Whether to believe it is the agent's business: only after the client's message or death.
  public Optional<SealRecord> seal(int slot) {
    byte[] record = take(file.bytes(), SegmentHead.sealAt(slot), SealRecord.BYTES);
    return SealRecord.decode(record, slot, head.stateCapacity());
  }

  /// Seals a slot: from now on its generation is to be saved, whatever becomes of the client.
  public void write(SealRecord seal) {
    VarHandle.releaseFence();
    put(SegmentHead.sealAt(seal.slot()), seal.encode());
  }

  /// Steps that the trainer says are done, or 0: for estimates, and for nothing that lasts.
  public long progress() {
    return Math.max(0, file.bytes().get(STEPS, SegmentHead.PROGRESS_AT));
  }

  /// The trainer has done so many steps: one aligned store, which no reader sees half.
  public void progress(long steps) {
    file.bytes().set(STEPS, SegmentHead.PROGRESS_AT, steps);
  }

  /// All that is used of a slot.
  public MemorySegment slot(int slot) {
    if (slot < 0 || slot >= head.slots()) {
      throw new IndexOutOfBoundsException("slot " + slot + " of " + head.slots());
    }
    return file.bytes().asSlice(head.slotAt(slot), head.slotBytes());
  }

  /// The state area of a slot.
  public MemorySegment stateArea(int slot) {
    return slot(slot).asSlice(0, head.stateCapacity());
  }

  /// All that is used of the constant area: filled by the client before its first seal, and never
  /// changed after.
  public MemorySegment constants() {
    return file.bytes().asSlice(head.constantAt(), layout.constantBytes());
  }

  /// What the offsets of a shard and of its pieces count from: the constant area, or a slot.
  public MemorySegment area(int slot, int shard) {
    return layout.shards().get(shard).constant() ? constants() : slot(slot);
  }

  /// The image of a shard of a slot's generation: byte for byte the shard file.
  public MemorySegment shardImage(int slot, int shard) {
    ShardPlace place = layout.shards().get(shard);
    return area(slot, shard).asSlice(place.offset(), place.byteLength());
  }

  /// Where a piece of a slot's generation lies, counted from the start of the slot even where that
  /// is in the constant area behind all slots: so one mapping from the slot on reaches all of it.
  public long fromSlot(int slot, PiecePlace place) {
    return layout.isConstant(place)
        ? head.constantAt() - head.slotAt(slot) + place.at()
        : place.at();
  }

  /// A copy, so that what is checked is what is used.
  private static byte[] take(MemorySegment bytes, long at, int length) {
    return bytes.asSlice(at, length).toArray(ValueLayout.JAVA_BYTE);
  }

  private void put(long at, byte[] bytes) {
    MemorySegment.copy(bytes, 0, file.bytes(), ValueLayout.JAVA_BYTE, at, bytes.length);
  }

  /// Removes the file's name. Mappings stay.
  public void unlink() {
    file.unlink();
  }

  /// Unmaps. The file stays until [#unlink].
  @Override
  public void close() {
    file.close();
  }
}
