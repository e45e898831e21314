package dev.keepstone.core.diff;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredPiece;
import dev.keepstone.core.view.StoredTensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/// A checkpoint in memory, its tensors cut into pieces at random.
final class InMemory implements CheckpointView {
  private final List<StoredTensor> tensors = new ArrayList<>();
  private final Map<StoredPiece, byte[]> bytes = new HashMap<>();
  private Json.@Nullable Obj state;
  private int files;

  /// Adds a tensor of whole bytes per element.
  ///
  /// @param content row-major
  /// @param cuts where from pieces come; null: one piece
  InMemory with(String component, Tensor tensor, byte[] content, @Nullable Random cuts) {
    List<Slice> slices = new ArrayList<>(List.of(Slice.whole(tensor.shape())));
    for (int d = 0; cuts != null && d < tensor.shape().rank(); d++) {
      slices = cut(slices, d, cuts);
    }
    List<StoredPiece> pieces = new ArrayList<>();
    for (Slice slice : slices) {
      StoredPiece piece =
          new StoredPiece(slice, "file-" + files++, 0, slice.extent().byteLength(tensor.dtype()));
      pieces.add(piece);
      bytes.put(piece, gather(tensor, slice, content));
    }
    tensors.add(new StoredTensor(component, tensor, pieces));
    return this;
  }

  InMemory with(String component, String name, Dtype dtype, byte[] content) {
    Shape shape = Shape.of(content.length * 8L / dtype.bits());
    return with(component, new Tensor(name, dtype, shape), content, null);
  }

  InMemory state(Json.Obj tree) {
    state = tree;
    return this;
  }

  private static List<Slice> cut(List<Slice> slices, int d, Random random) {
    List<Slice> cut = new ArrayList<>();
    for (Slice slice : slices) {
      long extent = slice.extent().extent(d);
      long at = extent > 1 && random.nextBoolean() ? 1 + random.nextLong(extent - 1) : extent;
      cut.add(part(slice, d, 0, at));
      if (at < extent) {
        cut.add(part(slice, d, at, extent - at));
      }
    }
    return cut;
  }

  private static Slice part(Slice slice, int d, long from, long extent) {
    List<Long> offset = new ArrayList<>(slice.offset());
    List<Long> extents = new ArrayList<>(slice.extent().extents());
    offset.set(d, offset.get(d) + from);
    extents.set(d, extent);
    return new Slice(offset, new Shape(extents));
  }

  /// Element by element, the way nobody would read it.
  private static byte[] gather(Tensor tensor, Slice slice, byte[] content) {
    if (slice.covers(tensor.shape())) {
      return content;
    }
    int element = tensor.dtype().bits() / 8;
    int count = (int) slice.extent().elementCount();
    byte[] piece = new byte[count * element];
    for (int i = 0; i < count; i++) {
      long left = i;
      long from = 0;
      long stride = 1;
      for (int d = slice.offset().size() - 1; d >= 0; d--) {
        long extent = slice.extent().extent(d);
        from += (slice.offset().get(d) + left % extent) * stride;
        left /= extent;
        stride *= tensor.shape().extent(d);
      }
      System.arraycopy(content, (int) from * element, piece, i * element, element);
    }
    return piece;
  }

  @Override
  public String format() {
    return "memory";
  }

  @Override
  public List<StoredTensor> tensors() {
    return tensors;
  }

  @Override
  public Map<String, String> metadata() {
    return Map.of();
  }

  @Override
  public Optional<Json.Obj> state() {
    return Optional.ofNullable(state);
  }

  @Override
  public Optional<byte[]> config() {
    return Optional.empty();
  }

  @Override
  public void read(StoredTensor tensor, StoredPiece piece, long offset, MemorySegment into) {
    MemorySegment from = MemorySegment.ofArray(bytes.get(piece));
    MemorySegment.copy(from, offset, into, 0, into.byteSize());
  }

  @Override
  public void close() {}
}
