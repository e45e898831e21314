package dev.keepstone.client;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.reshard.Overlap;
import dev.keepstone.core.reshard.Wanted;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.memory.SharedFile;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Request;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.IntStream;

/// A restore under way: what the checkpoint holds, and what is wanted of it, from memory or through
/// windows from the store, checked on the way.
///
/// What is wanted is said once, by [#read] or [#into]. Close it: the agent keeps the checkpoint for
/// it until then.
public final class Restore implements AutoCloseable {
  private final AgentLink link;
  private final Answer.Open opened;
  private boolean fromMemory;

  Restore(AgentLink link, Answer.Open opened) {
    this.link = link;
    this.opened = opened;
  }

  /// Takes a range of a saved piece.
  @FunctionalInterface
  public interface Sink {
    /// @param piece as it was saved
    /// @param offset of the range in the piece
    /// @param bytes the range; gone after the call
    void accept(RegisteredPiece piece, long offset, MemorySegment bytes);
  }

  /// A slice of a tensor and the memory that it goes to.
  ///
  /// @param memory of exactly the slice's bytes, dense and row-major
  public record Target(Slice slice, MemorySegment memory) {
    /// All of a tensor.
    public static Target whole(Tensor tensor, MemorySegment memory) {
      return new Target(Slice.whole(tensor.shape()), memory);
    }
  }

  public String id() {
    return opened.id();
  }

  public long step() {
    return opened.step();
  }

  /// Ranks that saved it.
  public int world() {
    return opened.world();
  }

  public Json.Obj metrics() {
    return opened.metrics();
  }

  /// The state tree of this rank, or of rank 0 where another number of ranks saved it; without
  /// holes.
  public Json state() {
    return opened.state();
  }

  /// Where another number of ranks saved it, the `keepstone` subtree of each, by rank; else empty.
  public List<Json> others() {
    return opened.others();
  }

  /// The tensors of all ranks that saved it.
  public List<Answer.OpenedTensor> tensors() {
    return opened.tensors();
  }

  /// Whether all bytes came from sealed generations on this node. Known once they have been read.
  public boolean fromMemory() {
    return fromMemory;
  }

  /// Fills slices of tensors, however they were saved.
  ///
  /// @param targets where each tensor's slices go; empty for a tensor that is not wanted
  /// @throws KeepstoneException.Refused where a target has not the size of its slice
  /// @throws KeepstoneException.Integrity where bytes are damaged, naming file, tensor and range
  public void into(Function<Answer.OpenedTensor, List<Target>> targets) {
    List<List<Target>> all = opened.tensors().stream().map(targets).toList();
    List<Wanted> wanted = new ArrayList<>();
    long bytes = 0;
    for (int i = 0; i < all.size(); i++) {
      Answer.OpenedTensor tensor = opened.tensors().get(i);
      for (Target target : all.get(i)) {
        requireSize(tensor, target);
        bytes += target.memory().byteSize();
      }
      if (!all.get(i).isEmpty()) {
        wanted.add(new Wanted(i, all.get(i).stream().map(Target::slice).toList()));
      }
    }
    read(
        wanted,
        bytes,
        (piece, offset, range) -> {
          long copied = 0;
          for (Target target : all.get(piece.tensor())) {
            copied += Overlap.of(whole(piece), target.slice()).copy(range, offset, target.memory());
          }
          return copied;
        });
  }

  private static void requireSize(Answer.OpenedTensor tensor, Target target) {
    long expected = target.slice().extent().byteLength(tensor.tensor().dtype());
    if (target.memory().byteSize() != expected) {
      throw new KeepstoneException.Refused(
          "expected a target of " + expected + " bytes, found " + target.memory().byteSize(),
          "tensor " + tensor.component() + "/" + tensor.tensor().name(),
          "give it the dtype and shape of the checkpoint");
    }
  }

  /// Hands over every byte of every tensor once, in ranges of pieces as they were saved.
  ///
  /// @throws KeepstoneException.Integrity where bytes are damaged, naming file, tensor and range
  public void read(Sink sink) {
    List<Wanted> all = IntStream.range(0, opened.tensors().size()).mapToObj(Wanted::whole).toList();
    read(
        all,
        opened.tensors().stream().mapToLong(tensor -> tensor.tensor().byteLength()).sum(),
        (piece, offset, range) -> {
          String component = opened.tensors().get(piece.tensor()).component();
          sink.accept(new RegisteredPiece(component, whole(piece)), offset, range);
          return range.byteSize();
        });
  }

  private Piece whole(Answer.SavedPiece piece) {
    return new Piece(opened.tensors().get(piece.tensor()).tensor(), piece.slice());
  }

  /// Takes a range of a piece.
  private interface Ranges {
    /// @return bytes of it that were wanted
    long accept(Answer.SavedPiece piece, long offset, MemorySegment bytes);
  }

  /// @param bytes that are wanted
  private void read(List<Wanted> wanted, long bytes, Ranges ranges) {
    Answer.Want from = ask(new Request.Want(wanted));
    from.pieces().forEach(this::requireKnown);
    fromMemory = from.total() == 0;
    long taken = 0;
    for (int i = 0; i < from.sources().size(); i++) {
      int source = i;
      taken +=
          readMemory(
              from.sources().get(source),
              from.pieces().stream()
                  .filter(piece -> Objects.equals(piece.source(), source))
                  .toList(),
              ranges);
    }
    Answer.Window window = from.window();
    if (window != null) {
      taken +=
          readStream(
              window,
              from.pieces().stream().filter(piece -> piece.source() == null).toList(),
              ranges);
    }
    if (taken != bytes) {
      throw new KeepstoneException.Integrity(
          "expected " + bytes + " bytes, found " + taken, "checkpoint " + id(), "restore again");
    }
  }

  private void requireKnown(Answer.SavedPiece piece) {
    boolean known =
        piece.tensor() < opened.tensors().size()
            && piece.slice().inside(opened.tensors().get(piece.tensor()).tensor().shape())
            && whole(piece).byteLength() == piece.byteLength();
    if (!known) {
      throw new KeepstoneException.Integrity(
          "the agent names a piece that the checkpoint does not have: " + piece,
          "checkpoint " + id(),
          "restart the agent");
    }
  }

  private long readMemory(Answer.Source source, List<Answer.SavedPiece> pieces, Ranges ranges) {
    if (pieces.isEmpty()) {
      return 0;
    }
    try (SharedFile segment = SharedFile.openReadOnly(Path.of(source.segment()))) {
      long end = pieces.stream().mapToLong(Answer.SavedPiece::end).max().orElse(0);
      MemorySegment slot = slice(segment.bytes(), source.slotAt(), end, source.segment());
      long begin = pieces.stream().mapToLong(Answer.SavedPiece::at).min().orElse(0);
      segment.populate(source.slotAt() + begin, end - begin);
      long taken = 0;
      for (Answer.SavedPiece piece : pieces) {
        taken += ranges.accept(piece, 0, slot.asSlice(piece.at(), piece.byteLength()));
      }
      return taken;
    }
  }

  /// @param pieces those of the stream, in its order
  private long readStream(Answer.Window place, List<Answer.SavedPiece> pieces, Ranges ranges) {
    long[] ends = pieces.stream().mapToLong(Answer.SavedPiece::end).toArray();
    try (SharedFile window = SharedFile.openReadOnly(Path.of(place.file()))) {
      window.populate(0, window.bytes().byteSize());
      long taken = 0;
      boolean end = false;
      while (!end) {
        Answer.Next next = ask(new Request.Next());
        for (Answer.Chunk chunk : next.chunks()) {
          MemorySegment bytes = slice(window.bytes(), chunk.in(), chunk.byteLength(), place.file());
          taken += handOver(pieces, firstAfter(ends, chunk.at()), chunk.at(), bytes, ranges);
        }
        end = next.end();
      }
      return taken;
    }
  }

  /// Cuts stream bytes at the borders of pieces, beginning with the first piece that they touch.
  private static long handOver(
      List<Answer.SavedPiece> pieces, int first, long at, MemorySegment bytes, Ranges ranges) {
    long end = at + bytes.byteSize();
    long taken = 0;
    for (int i = first; i < pieces.size() && pieces.get(i).at() < end; i++) {
      Answer.SavedPiece piece = pieces.get(i);
      long from = Math.max(at, piece.at());
      long to = Math.min(end, piece.end());
      taken += ranges.accept(piece, from - piece.at(), bytes.asSlice(from - at, to - from));
    }
    return taken;
  }

  /// The first piece that ends after a position.
  private static int firstAfter(long[] ends, long at) {
    int found = Arrays.binarySearch(ends, at + 1);
    return found >= 0 ? found : -found - 1;
  }

  private static MemorySegment slice(MemorySegment file, long from, long byteLength, String name) {
    if (from > file.byteSize() || byteLength > file.byteSize() - from) {
      throw new KeepstoneException.Integrity(
          "the agent names "
              + byteLength
              + " bytes at "
              + from
              + " of a file of "
              + file.byteSize(),
          name,
          "restart the agent");
    }
    return file.asSlice(from, byteLength);
  }

  /// Not repeated on a new connection: a restore ends with the agent that serves it.
  private <A extends Answer> A ask(Request<A> request) {
    try {
      return link.ask(request);
    } catch (IOException e) {
      throw new KeepstoneException.AgentUnavailable(
          "the agent went away during a restore: " + e.getMessage(),
          "checkpoint " + id(),
          "restore again");
    }
  }

  /// Lets the checkpoint and the window go.
  @Override
  public void close() {
    ask(new Request.Done());
  }
}
