package dev.keepstone;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredPiece;
import dev.keepstone.core.view.StoredTensor;
import dev.keepstone.store.hold.ReaderHold;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// A checkpoint of a store, by the receipts of its parts.
///
/// Tensor bytes are checked granule by granule as they are read. From the first byte read the
/// checkpoint is held against deletion, where the store lets this process write.
final class StoredView implements CheckpointView {
  private final Host host;
  private final Run run;
  private final CheckpointId id;
  private final List<Part> parts;
  private final List<StoredTensor> tensors;

  /// Receipts of pieces that have bytes, by shard and place in it.
  private final Map<String, NavigableMap<Long, PieceReceipt>> receipts = new HashMap<>();

  private final Map<String, ShardReceipt> shards = new HashMap<>();
  private final Map<String, OpenFile> open = new HashMap<>();
  private final Arena arena = Arena.ofShared();
  private @Nullable MemorySegment scratch;
  private @Nullable ReaderHold hold;
  private boolean mayHold = true;
  private long heldAt;

  private StoredView(Host host, Run run, CheckpointId id, List<Part> parts) {
    this.host = host;
    this.run = run;
    this.id = id;
    this.parts = parts;
    Map<Named, List<StoredPiece>> pieces = new LinkedHashMap<>();
    for (Part part : parts) {
      for (ShardReceipt shard : part.shards()) {
        shards.put(shard.path(), shard);
        NavigableMap<Long, PieceReceipt> places = new TreeMap<>();
        receipts.put(shard.path(), places);
        for (PieceReceipt piece : shard.pieces()) {
          if (piece.bytes() > 0) {
            places.put(piece.at(), piece);
          }
          pieces
              .computeIfAbsent(
                  new Named(shard.component(), piece.piece().tensor()), _ -> new ArrayList<>())
              .add(new StoredPiece(piece.piece().slice(), shard.path(), piece.at(), piece.bytes()));
        }
      }
    }
    tensors =
        pieces.entrySet().stream()
            .map(entry ->
                new StoredTensor(entry.getKey().component, entry.getKey().tensor, entry.getValue()))
            .toList();
  }

  private record Named(String component, Tensor tensor) {}

  /// @throws KeepstoneException.NotFound where there is no such checkpoint
  /// @throws KeepstoneException.Integrity where manifest and parts are not what they should be
  static StoredView open(Host host, Run run, CheckpointId id) {
    return new StoredView(host, run, id, run.parts(run.manifest(id)));
  }

  /// How many ranks wrote it.
  int ranks() {
    return parts.size();
  }

  @Override
  public String format() {
    return "keepstone";
  }

  @Override
  public List<StoredTensor> tensors() {
    return tensors;
  }

  @Override
  public Map<String, String> metadata() {
    return Map.of("run", run.name(), "id", id.toString(), "step", Long.toString(id.step()));
  }

  /// That of rank 0.
  @Override
  public Optional<Json.Obj> state() {
    return Optional.of(state(0));
  }

  /// The state tree of a rank.
  Json.Obj state(int rank) {
    FileReceipt receipt = parts.get(rank).state();
    String name = run.names().file(id, receipt.file());
    return StateObject.decode(small(receipt), run.tier().describe(name)).tree();
  }

  @Override
  public Optional<byte[]> config() {
    return parts.getFirst().extra().stream()
        .filter(extra -> extra.file().equals("config.json"))
        .findFirst()
        .map(this::small);
  }

  private byte[] small(FileReceipt receipt) {
    String name = run.names().file(id, receipt.file());
    String describe = run.tier().describe(name);
    byte[] bytes =
        run.tier().read(name).orElseThrow(() -> damaged("the file is missing", describe));
    int crc = Crc32.of(bytes, 0, bytes.length);
    if (bytes.length != receipt.bytes() || crc != receipt.crc32()) {
      throw damaged(
          "expected %d bytes with crc32 %s, found %d with %s"
              .formatted(receipt.bytes(), Crc32.hex(receipt.crc32()), bytes.length, Crc32.hex(crc)),
          describe);
    }
    return bytes;
  }

  @Override
  public void read(StoredTensor tensor, StoredPiece piece, long offset, MemorySegment into)
      throws IOException {
    if (offset < 0 || offset > piece.bytes() - into.byteSize()) {
      throw new IllegalArgumentException(
          "bytes %d to %d of %s".formatted(offset, offset + into.byteSize(), piece));
    }
    if (into.byteSize() == 0) {
      return;
    }
    PieceReceipt receipt = receipt(piece);
    stay();
    OpenFile file = shard(piece.file());
    long end = offset + into.byteSize();
    for (long at = offset; at < end; ) {
      long begin = at / Granules.BYTES * Granules.BYTES;
      if (begin == at && (end - at >= Granules.BYTES || end == piece.bytes())) {
        // Whole granules up to the last one that is wanted whole: straight to where they go.
        long whole = end == piece.bytes() ? end - at : (end - at) / Granules.BYTES * Granules.BYTES;
        granules(file, piece, receipt, at, into.asSlice(at - offset, whole));
        at += whole;
      } else {
        MemorySegment granule =
            scratch().asSlice(0, Math.min(Granules.BYTES, piece.bytes() - begin));
        granules(file, piece, receipt, begin, granule);
        long count = Math.min(end, begin + granule.byteSize()) - at;
        MemorySegment.copy(granule, at - begin, into, at - offset, count);
        at += count;
      }
    }
  }

  @Override
  public OptionalInt crc32(StoredTensor tensor) {
    if (!tensor.isWhole() || tensor.tensor().byteLength() == 0) {
      return OptionalInt.empty();
    }
    StoredPiece piece = tensor.pieces().getFirst();
    return OptionalInt.of(Granules.combine(Granules.parse(receipt(piece).crcs()), piece.bytes()));
  }

  private PieceReceipt receipt(StoredPiece piece) {
    NavigableMap<Long, PieceReceipt> places = receipts.get(piece.file());
    PieceReceipt receipt = places == null ? null : places.get(piece.fileOffset());
    if (receipt == null) {
      throw new IllegalArgumentException("no piece of this checkpoint: " + piece);
    }
    return receipt;
  }

  /// Reads granules of a piece from the beginning of one on, and checks each.
  private void granules(
      OpenFile file, StoredPiece piece, PieceReceipt receipt, long from, MemorySegment into)
      throws IOException {
    long count = file.read(piece.fileOffset() + from, into);
    if (count < into.byteSize()) {
      throw mismatch(piece, receipt, from + count, into.byteSize() - count, "the file ends there");
    }
    for (long at = 0; at < into.byteSize(); at += Granules.BYTES) {
      MemorySegment granule = into.asSlice(at, Math.min(Granules.BYTES, into.byteSize() - at));
      int index = Math.toIntExact((from + at) / Granules.BYTES);
      String expected = receipt.crcs().substring(8 * index, 8 * index + 8);
      String found = Crc32.hex(Crc32.of(granule));
      if (!found.equals(expected)) {
        throw mismatch(
            piece,
            receipt,
            from + at,
            granule.byteSize(),
            "expected crc32 " + expected + ", found " + found);
      }
    }
  }

  private KeepstoneException mismatch(
      StoredPiece piece, PieceReceipt receipt, long from, long length, String what) {
    long begin = piece.fileOffset() + from;
    return damaged(
        "bytes %d..%d do not match their checksum: %s".formatted(begin, begin + length - 1, what),
        "%s, tensor %s"
            .formatted(
                describe(piece.file()),
                JsonWriter.compact(Json.of(receipt.piece().tensor().name()))));
  }

  private static KeepstoneException.Integrity damaged(String what, String on) {
    return new KeepstoneException.Integrity(
        what, on, "take another copy of the store, or an earlier checkpoint: @latest~1");
  }

  private String describe(String path) {
    return run.tier().describe(name(path));
  }

  /// Where a shard of this checkpoint lies, be it in another one's folder.
  private String name(String path) {
    ShardReceipt shard = shards.get(path);
    if (shard == null) {
      throw new IllegalArgumentException("no shard of this checkpoint: " + path);
    }
    return run.names().file(shard.home(id), shard.file());
  }

  private OpenFile shard(String path) throws IOException {
    OpenFile known = open.get(path);
    if (known != null) {
      return known;
    }
    OpenFile shard = run.tier().openShard(name(path));
    open.put(path, shard);
    ShardReceipt receipt = shards.get(path);
    long expected = receipt == null ? 0 : receipt.bytes();
    if (shard.size() != expected) {
      throw damaged(
          "expected a file of %d bytes, found %d".formatted(expected, shard.size()),
          describe(path));
    }
    return shard;
  }

  private MemorySegment scratch() {
    MemorySegment bytes = scratch;
    if (bytes == null) {
      bytes = arena.allocate(Granules.BYTES, OpenFile.ALIGNMENT);
      scratch = bytes;
    }
    return bytes;
  }

  /// Holds the checkpoint, or says again that it is needed. A store that cannot be written to has
  /// no hold, and nobody on this machine who could delete.
  private void stay() {
    long now = host.clock().nanos();
    try {
      if (hold == null && mayHold) {
        hold = ReaderHold.take(run, id, host.nonce());
        heldAt = now;
      } else if (hold != null && now - heldAt >= ReaderHold.RENEW_EVERY.toNanos()) {
        hold.renew();
        heldAt = now;
      }
    } catch (KeepstoneException.Denied e) {
      mayHold = false;
    }
  }

  @Override
  public void close() throws IOException {
    IOException failure = null;
    for (OpenFile file : open.values()) {
      try {
        file.close();
      } catch (IOException e) {
        failure = e;
      }
    }
    open.clear();
    if (arena.scope().isAlive()) {
      arena.close();
    }
    if (hold != null) {
      hold.close();
      hold = null;
    }
    if (failure != null) {
      throw failure;
    }
  }
}
