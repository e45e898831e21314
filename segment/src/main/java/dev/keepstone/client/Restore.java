package dev.keepstone.client;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.memory.SharedFile;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Request;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// A restore under way: what the checkpoint holds, and its bytes once, from memory or through
/// windows from the store, checked on the way.
///
/// Close it: the agent keeps the checkpoint for it until then.
public final class Restore implements AutoCloseable {
  private final AgentLink link;
  private final Answer.Open opened;

  Restore(AgentLink link, Answer.Open opened) {
    this.link = link;
    this.opened = opened;
  }

  /// Takes a range of a piece.
  @FunctionalInterface
  public interface Sink {
    /// @param piece the piece as it was saved
    /// @param offset of the range in the piece
    /// @param bytes the range; gone after the call
    void accept(RegisteredPiece piece, long offset, MemorySegment bytes);
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

  /// The state tree, without holes.
  public Json state() {
    return opened.state();
  }

  /// Whether the bytes come from a sealed generation on this node.
  public boolean fromMemory() {
    return opened.from() instanceof Answer.Source.Memory;
  }

  /// The pieces as they were saved.
  public List<RegisteredPiece> pieces() {
    return opened.pieces().stream().map(Answer.OpenedPiece::piece).toList();
  }

  /// Copies each piece to where the caller wants it.
  ///
  /// @param targets of exactly the piece's bytes; null for a piece that is not wanted
  public void into(Function<RegisteredPiece, @Nullable MemorySegment> targets) {
    read((piece, offset, bytes) -> {
      MemorySegment target = targets.apply(piece);
      if (target == null) {
        return;
      }
      if (target.byteSize() != piece.piece().byteLength()) {
        throw new KeepstoneException.Refused(
            "expected a target of "
                + piece.piece().byteLength()
                + " bytes, found "
                + target.byteSize(),
            "tensor " + piece.component() + "/" + piece.piece().tensor().name(),
            "give it the dtype and shape of the checkpoint");
      }
      Capture.copy(bytes, target, offset);
    });
  }

  /// Hands over every byte once, in ranges of pieces.
  ///
  /// @throws KeepstoneException.Integrity where bytes are damaged, naming file, tensor and range
  public void read(Sink sink) {
    switch (opened.from()) {
      case Answer.Source.Memory memory -> readMemory(memory, sink);
      case Answer.Source.Store store -> readStore(store, sink);
    }
  }

  private void readMemory(Answer.Source.Memory memory, Sink sink) {
    try (SharedFile segment = SharedFile.openReadOnly(Path.of(memory.segment()))) {
      long end = opened.pieces().stream().mapToLong(Answer.OpenedPiece::end).max().orElse(0);
      MemorySegment slot = slice(segment.bytes(), memory.slotAt(), end, memory.segment());
      segment.populate(memory.slotAt(), end);
      for (Answer.OpenedPiece piece : opened.pieces()) {
        sink.accept(piece.piece(), 0, slot.asSlice(piece.at(), piece.piece().piece().byteLength()));
      }
    }
  }

  private void readStore(Answer.Source.Store store, Sink sink) {
    Answer.OpenedPiece[] inStream =
        opened.pieces().stream()
            .filter(piece -> piece.end() > piece.at())
            .sorted(Comparator.comparingLong(Answer.OpenedPiece::at))
            .toArray(Answer.OpenedPiece[]::new);
    long[] ends = Arrays.stream(inStream).mapToLong(Answer.OpenedPiece::end).toArray();
    String file = store.window().file();
    try (SharedFile window = SharedFile.openReadOnly(Path.of(file))) {
      window.populate(0, window.bytes().byteSize());
      long taken = 0;
      boolean end = false;
      while (!end) {
        Answer.Next next = ask(new Request.Next());
        for (Answer.Chunk chunk : next.chunks()) {
          MemorySegment bytes = slice(window.bytes(), chunk.in(), chunk.byteLength(), file);
          handOver(inStream, firstAfter(ends, chunk.at()), chunk.at(), bytes, sink);
          taken += chunk.byteLength();
        }
        end = next.end();
      }
      if (taken != store.total()) {
        throw new KeepstoneException.Integrity(
            "expected " + store.total() + " bytes of checkpoint " + id() + ", found " + taken,
            file,
            "restore again");
      }
    }
    for (Answer.OpenedPiece piece : opened.pieces()) {
      // An empty tensor has no byte in the stream; its reader still learns of it.
      if (piece.end() == piece.at()) {
        sink.accept(piece.piece(), 0, MemorySegment.NULL);
      }
    }
  }

  /// Cuts stream bytes at the borders of pieces, beginning with the first piece that they touch.
  private static void handOver(
      Answer.OpenedPiece[] pieces, int first, long at, MemorySegment bytes, Sink sink) {
    long end = at + bytes.byteSize();
    for (int i = first; i < pieces.length && pieces[i].at() < end; i++) {
      long from = Math.max(at, pieces[i].at());
      long to = Math.min(end, pieces[i].end());
      sink.accept(pieces[i].piece(), from - pieces[i].at(), bytes.asSlice(from - at, to - from));
    }
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
