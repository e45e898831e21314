package dev.keepstone.core.reshard;

import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// A checkpoint's tensors with the pieces in which they were saved, ready to tell which granules of
/// which pieces somebody needs.
///
/// The time that this takes grows with the pieces that are touched and their granules, not with the
/// product of pieces and slices. For one thread.
public final class Reshard {
  /// The most slices that one may want at once.
  static final int MAX_SLICES = 4_000_000;

  private final List<Tensor> tensors;
  private final List<Saved> pieces;
  private final List<List<Integer>> ofTensor;
  private final Map<Integer, BoxIndex> indexes = new HashMap<>();

  /// A piece as it was saved.
  ///
  /// @param tensor index of its tensor
  public record Saved(int tensor, Slice slice) {}

  /// @param tensors of the checkpoint
  /// @param pieces of all of them, in any order
  public Reshard(List<Tensor> tensors, List<Saved> pieces) {
    this.tensors = List.copyOf(tensors);
    this.pieces = List.copyOf(pieces);
    this.ofTensor =
        new ArrayList<>(
            IntStream.range(0, tensors.size()).mapToObj(_ -> new ArrayList<Integer>(1)).toList());
    for (int i = 0; i < pieces.size(); i++) {
      ofTensor.get(pieces.get(i).tensor()).add(i);
    }
  }

  /// What of which pieces is needed, in the order of the pieces. Pieces and tensors without
  /// elements need nothing.
  ///
  /// @throws KeepstoneException.Refused where a tensor is none of the checkpoint or wanted twice,
  ///   or a slice lies outside it or cuts through a byte
  public List<Need> needs(List<Wanted> wanted) {
    Map<Integer, BitSet> needs = new TreeMap<>();
    BitSet seen = new BitSet();
    long slices = 0;
    for (Wanted one : wanted) {
      require(
          one.tensor() >= 0 && one.tensor() < tensors.size(),
          "expected a tensor from 0 to " + (tensors.size() - 1) + ", found " + one.tensor());
      require(!seen.get(one.tensor()), "tensor " + one.tensor() + " is wanted twice");
      seen.set(one.tensor());
      List<Slice> boxes = one.slices();
      slices += boxes == null ? 0 : boxes.size();
      require(slices <= MAX_SLICES, "expected at most " + MAX_SLICES + " slices, found more");
      need(one.tensor(), boxes, needs);
    }
    return needs.entrySet().stream()
        .map(entry -> new Need(entry.getKey(), entry.getValue()))
        .toList();
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new KeepstoneException.Refused(
          otherwise, "what is wanted of a checkpoint", "name each tensor once, as it was opened");
    }
  }

  private void need(int index, @Nullable List<Slice> slices, Map<Integer, BitSet> needs) {
    Tensor tensor = tensors.get(index);
    for (Slice slice : slices == null ? List.of(Slice.whole(tensor.shape())) : slices) {
      if (!slice.inside(tensor.shape())) {
        throw new KeepstoneException.Refused(
            "expected a slice inside of "
                + tensor.shape()
                + ", found "
                + slice.extent()
                + " at "
                + slice.offset(),
            "tensor " + tensor.name(),
            "look at its shape");
      }
      List<Integer> saved = ofTensor.get(index);
      if (slice.covers(tensor.shape())) {
        saved.forEach(piece -> needAll(piece, needs));
      } else if (saved.size() == 1) {
        need(saved.getFirst(), slice, needs);
      } else {
        for (int box : index(index).touching(slice)) {
          need(saved.get(box), slice, needs);
        }
      }
    }
  }

  private BoxIndex index(int tensor) {
    return indexes.computeIfAbsent(
        tensor,
        _ ->
            new BoxIndex(
                ofTensor.get(tensor).stream().map(piece -> pieces.get(piece).slice()).toList()));
  }

  private Piece piece(int index) {
    Saved saved = pieces.get(index);
    return new Piece(tensors.get(saved.tensor()), saved.slice());
  }

  private void needAll(int index, Map<Integer, BitSet> needs) {
    long bytes = piece(index).byteLength();
    if (bytes > 0) {
      needs
          .computeIfAbsent(index, _ -> new BitSet())
          .set(0, Math.toIntExact(Granules.count(bytes)));
    }
  }

  private void need(int index, Slice slice, Map<Integer, BitSet> needs) {
    Overlap overlap = Overlap.of(piece(index), slice);
    if (overlap.isEmpty()) {
      return;
    }
    BitSet granules = needs.computeIfAbsent(index, _ -> new BitSet());
    int last = Math.toIntExact((overlap.end() - 1) / Granules.BYTES);
    for (int g = Math.toIntExact(overlap.begin() / Granules.BYTES); g <= last; g++) {
      long from = (long) g * Granules.BYTES;
      if (overlap.touches(from, from + Granules.BYTES)) {
        granules.set(g);
      }
    }
  }
}
