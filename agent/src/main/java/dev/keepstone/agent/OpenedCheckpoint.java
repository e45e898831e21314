package dev.keepstone.agent;

import static java.util.Objects.requireNonNull;

import dev.keepstone.agent.drain.StateArea;
import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.reshard.Need;
import dev.keepstone.core.reshard.Reshard;
import dev.keepstone.core.reshard.Wanted;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.segment.file.SegmentFile;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.segment.layout.PiecePlace;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.store.hold.ReaderHold;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.restore.RestoreStream;
import dev.keepstone.store.run.Run;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import org.jspecify.annotations.Nullable;

/// A checkpoint that clients of this node restore: its tensors, and where each saved piece lies, in
/// a sealed generation on this node or in the store.
///
/// Generations are pinned while this is open. Where anything comes from the store, a hold keeps the
/// checkpoint from being deleted.
final class OpenedCheckpoint implements AutoCloseable {
  private final LiveRun live;
  private final CheckpointId id;
  private final Roster roster;
  private final EventLog events;
  private final SortedMap<Integer, Roster.Pin> pins;
  private final Map<Integer, StateArea> areas = new HashMap<>();
  private final int world;
  private final Json.Obj metrics;

  /// Empty where every rank's generation is here: then the store is not asked.
  private final List<Part> parts;

  private final List<Answer.OpenedTensor> tensors = new ArrayList<>();
  private final List<Located> pieces = new ArrayList<>();
  private final List<Answer.Source> sources = new ArrayList<>();
  private final Reshard reshard;
  private @Nullable ReaderHold hold;
  private @Nullable Thread renewal;
  private boolean closed;

  /// A saved piece and where it lies.
  private record Located(int tensor, Piece piece, Origin origin) {}

  private sealed interface Origin {
    /// @param source index of the generation
    /// @param at from the start of its slot
    record Memory(int source, long at) implements Origin {}

    record Stored(PieceReceipt receipt) implements Origin {}
  }

  /// @param nonce of the hold
  /// @throws KeepstoneException.NotFound where it is not there any more
  OpenedCheckpoint(LiveRun live, CheckpointId id, Roster roster, EventLog events, String nonce) {
    this.live = live;
    this.id = id;
    this.roster = roster;
    this.events = events;
    this.pins = roster.pin(live.key(), id);
    boolean begun = false;
    try {
      List.copyOf(pins.keySet()).forEach(this::readArea);
      StateArea first = areas.get(0);
      if (first != null && pins.size() == world(requireNonNull(pins.get(0)))) {
        this.world = pins.size();
        this.parts = List.of();
        this.metrics = first.metrics();
      } else {
        this.hold = ReaderHold.take(live.open(), id, nonce);
        this.parts = live.open().parts(live.open().manifest(id));
        this.world = parts.size();
        this.metrics = parts.getFirst().metrics();
        this.renewal = Thread.ofVirtual().name("hold-" + id).start(this::renew);
      }
      locate();
      this.reshard =
          new Reshard(
              tensors.stream().map(Answer.OpenedTensor::tensor).toList(),
              pieces.stream()
                  .map(piece -> new Reshard.Saved(piece.tensor(), piece.piece().slice()))
                  .toList());
      begun = true;
    } finally {
      if (!begun) {
        close();
      }
    }
  }

  private static int world(Roster.Pin pin) {
    return pin.segment().file.layout().owner().world();
  }

  /// A generation whose state area is not what was sealed is not used: the store has the checkpoint
  /// too.
  private void readArea(int rank) {
    Roster.Pin pin = requireNonNull(pins.get(rank));
    SegmentFile file = pin.segment().file;
    try {
      areas.put(rank, StateArea.read(file, file.seal(pin.slot()).orElseThrow()));
    } catch (KeepstoneException.Integrity e) {
      events.note("not restored from memory: " + e.on() + ": " + e.what());
      pins.remove(rank);
      roster.unpin(pin);
    }
  }

  private void locate() {
    Map<Answer.OpenedTensor, Integer> numbers = new HashMap<>();
    for (int rank = 0; rank < world; rank++) {
      Roster.Pin pin = pins.get(rank);
      if (pin != null) {
        locate(pin, numbers);
      } else {
        for (ShardReceipt shard : parts.get(rank).shards()) {
          for (PieceReceipt receipt : shard.pieces()) {
            locate(shard.component(), receipt.piece(), new Origin.Stored(receipt), numbers);
          }
        }
      }
    }
  }

  /// The pieces of a generation, in the order of its shard files.
  private void locate(Roster.Pin pin, Map<Answer.OpenedTensor, Integer> numbers) {
    SegmentFile file = pin.segment().file;
    int source = sources.size();
    sources.add(new Answer.Source(file.path().toString(), file.head().slotAt(pin.slot())));
    Layout layout = file.layout();
    for (int shard = 0; shard < layout.shards().size(); shard++) {
      String component = layout.shards().get(shard).component();
      for (int index : layout.fileOrder(shard)) {
        PiecePlace place = layout.pieces().get(index);
        Origin origin = new Origin.Memory(source, file.fromSlot(pin.slot(), place));
        locate(component, place.piece(), origin, numbers);
      }
    }
  }

  private void locate(
      String component, Piece piece, Origin origin, Map<Answer.OpenedTensor, Integer> numbers) {
    Answer.OpenedTensor tensor = new Answer.OpenedTensor(component, piece.tensor());
    int number = numbers.computeIfAbsent(tensor, _ -> tensors.size());
    if (number == tensors.size()) {
      tensors.add(tensor);
    }
    pieces.add(new Located(number, piece, origin));
  }

  private void renew() {
    ReaderHold held = hold;
    try {
      while (held != null) {
        Thread.sleep(ReaderHold.RENEW_EVERY);
        held.renew();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (KeepstoneException e) {
      events.note("the hold on " + live.key() + "@" + id + " was not renewed: " + e.what());
    }
  }

  /// The answer to a client of that rank.
  ///
  /// @param ranks of the client's launch
  Answer.Open answer(int rank, int ranks) {
    boolean same = ranks == world;
    int whose = same ? rank : 0;
    List<Json> others = new ArrayList<>();
    for (int other = 0; !same && other < world; other++) {
      others.add(tree(other).object("keepstone"));
    }
    return new Answer.Open(
        id.toString(), id.step(), world, metrics, whose, tensors, tree(whose), others);
  }

  private Json.Obj tree(int rank) {
    StateArea area = areas.get(rank);
    return area != null ? area.tree() : stored(parts.get(rank));
  }

  private Json.Obj stored(Part part) {
    Run run = live.open();
    String name = run.names().file(part.id(), part.state().file());
    String on = run.tier().describe(name);
    byte @Nullable [] bytes = run.tier().read(name).orElse(null);
    if (bytes == null
        || bytes.length != part.state().bytes()
        || Crc32.of(bytes, 0, bytes.length) != part.state().crc32()) {
      throw new KeepstoneException.Integrity(
          "expected a state tree of "
              + part.state().bytes()
              + " bytes and crc32 "
              + Crc32.hex(part.state().crc32())
              + ", found "
              + (bytes == null
                  ? "none"
                  : bytes.length + " of " + Crc32.hex(Crc32.of(bytes, 0, bytes.length))),
          on,
          "restore an earlier checkpoint, or bring back a good copy of this file");
    }
    return StateObject.decode(bytes, on).tree();
  }

  /// Which granules of which pieces hold what is wanted.
  List<Need> needs(List<Wanted> wanted) {
    synchronized (reshard) {
      return reshard.needs(wanted);
    }
  }

  /// Bytes of what is needed of a piece.
  long bytes(Need need) {
    return need.byteLength(pieces.get(need.piece()).piece().byteLength());
  }

  /// Whether a piece lies in memory of this node.
  boolean inMemory(int piece) {
    return pieces.get(piece).origin() instanceof Origin.Memory;
  }

  /// What the store says of a piece that it has to give.
  PieceReceipt receipt(int piece) {
    return switch (pieces.get(piece).origin()) {
      case Origin.Stored(PieceReceipt receipt) -> receipt;
      case Origin.Memory _ -> throw new IllegalArgumentException("piece " + piece + " in memory");
    };
  }

  /// A piece as the client is told of it.
  ///
  /// @param position in its stream, where it comes by one
  Answer.SavedPiece piece(int index, long position) {
    Located located = pieces.get(index);
    Piece piece = located.piece();
    return switch (located.origin()) {
      case Origin.Memory(int source, long at) ->
          new Answer.SavedPiece(located.tensor(), piece.slice(), piece.byteLength(), source, at);
      case Origin.Stored _ ->
          new Answer.SavedPiece(
              located.tensor(), piece.slice(), piece.byteLength(), null, position);
    };
  }

  /// The generations in which pieces lie.
  List<Answer.Source> sources() {
    return sources;
  }

  /// Where all pieces lie that come from the store.
  RestoreStream.Source stream() {
    Run run = live.open();
    return new RestoreStream.Source(
        run.tier(),
        run.names(),
        id,
        parts.stream().flatMap(part -> part.shards().stream()).toList());
  }

  /// It was found damaged.
  void condemn(KeepstoneException.Integrity found) {
    live.condemn(id, found);
  }

  /// Begins the fields of an event.
  Json.Builder fields() {
    return live.fields(id);
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    pins.values().forEach(roster::unpin);
    Thread renewing = renewal;
    if (renewing != null) {
      renewing.interrupt();
    }
    ReaderHold held = hold;
    if (held != null) {
      try {
        held.close();
      } catch (KeepstoneException e) {
        // One that stays is taken for dead after a grace.
        events.note("the hold on " + live.key() + "@" + id + " stays: " + e.what());
      }
    }
  }
}
