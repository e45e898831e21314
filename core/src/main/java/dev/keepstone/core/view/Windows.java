package dev.keepstone.core.view;

import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Parts of pieces that have been read, the ones used last: for tensors that lie in several.
///
/// Windows begin at multiples of their size, which is one of granules, so that a view with
/// checksums reads each granule once.
public final class Windows {
  /// Memory for tensors of few pieces: three of the largest windows.
  private static final long USUAL_BYTES = 24 << 20;

  /// The most that is held: a window of the least size for each of 64 pieces.
  private static final long TOTAL_BYTES = 64 << 20;

  private static final long LEAST_BYTES = 1 << 20;
  private static final long MOST_BYTES = 8 << 20;

  private final Arena arena;
  private @Nullable MemorySegment memory;
  private @Nullable CheckpointView view;
  private @Nullable StoredTensor tensor;
  private long windowBytes = MOST_BYTES;

  /// In the order of their last use.
  private final Map<Key, Window> read = new LinkedHashMap<>(16, 0.75f, true);

  private final Deque<MemorySegment> free = new ArrayDeque<>();

  /// @param arena of the memory, for as long as this is used
  public Windows(Arena arena) {
    this.arena = arena;
  }

  private record Key(int piece, long index) {}

  /// @param bytes of the slot, as many as the piece has there
  private record Window(MemorySegment slot, MemorySegment bytes) {}

  /// Forgets everything; from now on it is pieces of this tensor. The more there are, the smaller
  /// the windows: there should be one for each.
  void begin(CheckpointView of, StoredTensor stored) {
    long bytes = Math.clamp(stored.pieces().size() * LEAST_BYTES, USUAL_BYTES, TOTAL_BYTES);
    MemorySegment all = memory;
    if (all == null || all.byteSize() < bytes) {
      all = arena.allocate(bytes == USUAL_BYTES ? bytes : TOTAL_BYTES, OpenFile.ALIGNMENT);
      memory = all;
    }
    view = of;
    tensor = stored;
    long share = Long.highestOneBit(Math.max(1, all.byteSize() / stored.pieces().size()));
    windowBytes = Math.clamp(share, LEAST_BYTES, MOST_BYTES);
    read.clear();
    free.clear();
    for (long at = 0; at + windowBytes <= all.byteSize(); at += windowBytes) {
      free.add(all.asSlice(at, windowBytes));
    }
  }

  /// Fills `into` with bytes of a piece from `offset` on.
  void copy(int piece, long offset, MemorySegment into) throws IOException {
    for (long done = 0; done < into.byteSize(); ) {
      long index = (offset + done) / windowBytes;
      long inside = (offset + done) % windowBytes;
      MemorySegment window = window(new Key(piece, index));
      long count = Math.min(window.byteSize() - inside, into.byteSize() - done);
      MemorySegment.copy(window, inside, into, done, count);
      done += count;
    }
  }

  private MemorySegment window(Key key) throws IOException {
    Window known = read.get(key);
    if (known != null) {
      return known.bytes;
    }
    CheckpointView from = view;
    StoredTensor stored = tensor;
    if (from == null || stored == null) {
      throw new IllegalStateException("no tensor yet");
    }
    MemorySegment slot = free.poll();
    if (slot == null) {
      Map.Entry<Key, Window> oldest = read.entrySet().iterator().next();
      slot = oldest.getValue().slot;
      read.remove(oldest.getKey());
    }
    StoredPiece piece = stored.pieces().get(key.piece);
    long begin = key.index * windowBytes;
    MemorySegment window = slot.asSlice(0, Math.min(windowBytes, piece.bytes() - begin));
    from.read(stored, piece, begin, window);
    read.put(key, new Window(slot, window));
    return window;
  }
}
