package dev.keepstone.segment.layout;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.format.safetensors.SafetensorsEncoder;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Tensor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.IntStream;

/// Where every byte of one rank's state lies: in each slot what may change, and once, in the
/// constant area, what does not.
///
/// One that exists is sound, planned or read: shards lie behind the state area or in the constant
/// area, aligned and apart, and their pieces fill them without gaps.
///
/// @param owner whose it is
/// @param stateCapacity bytes of the state area, with which a slot begins
/// @param shards component by component, in each area in the order of their offsets
/// @param pieces in the order in which the client registered them
/// @param state the state tree with holes
/// @param configs the own configuration of each component that has one
/// @param provenance which client and framework wrote it
public record Layout(
    LayoutOwner owner,
    long stateCapacity,
    List<ShardPlace> shards,
    List<PiecePlace> pieces,
    Json state,
    Json.Obj configs,
    Json.Obj provenance) {
  /// Images, headers and data begin at multiples of this.
  public static final int ALIGNMENT = 4096;

  /// The smallest state area.
  public static final long MIN_STATE_CAPACITY = 64 << 10;

  /// The largest: a state tree is a JSON object of at most as many bytes.
  public static final long MAX_STATE_CAPACITY = 256 << 20;

  /// @throws IllegalArgumentException where it is not sound
  public Layout {
    shards = List.copyOf(shards);
    pieces = List.copyOf(pieces);
    Soundness.check(stateCapacity, shards, pieces);
  }

  /// Lays out what a client registers, of whose behaviour nothing is known.
  ///
  /// @throws KeepstoneException.Refused naming the tensor and what is wrong with it
  public static Layout plan(LayoutOwner owner, LayoutRequest request) {
    return plan(owner, request, _ -> false);
  }

  /// Lays out what a client registers.
  ///
  /// @param steady pieces that may change and have not for long: they get shards of their own
  /// @throws KeepstoneException.Refused naming the tensor and what is wrong with it
  public static Layout plan(
      LayoutOwner owner, LayoutRequest request, Predicate<RegisteredPiece> steady) {
    return new Planner(owner, request, steady).plan();
  }

  /// Bytes used of each slot: the state area and the shard images, up to the next multiple of
  /// [#ALIGNMENT].
  public long slotBytes() {
    return Math.max(stateCapacity, end(false));
  }

  /// Bytes used of the constant area, up to the next multiple of [#ALIGNMENT].
  public long constantBytes() {
    return end(true);
  }

  private long end(boolean constant) {
    long end =
        shards.stream()
            .filter(shard -> shard.constant() == constant)
            .mapToLong(ShardPlace::end)
            .max()
            .orElse(0);
    return alignUp(end, ALIGNMENT);
  }

  /// Bytes of all shard images.
  public long byteLength() {
    return shards.stream().mapToLong(ShardPlace::byteLength).sum();
  }

  /// Bytes of the shard images in a slot: what a save captures.
  public long capturedLength() {
    return shards.stream()
        .filter(shard -> !shard.constant())
        .mapToLong(ShardPlace::byteLength)
        .sum();
  }

  /// Whether a piece lies in the constant area.
  public boolean isConstant(PiecePlace place) {
    return shards.get(place.shard()).constant();
  }

  /// What a piece is, whatever its trainer promised of it.
  public RegisteredPiece registered(PiecePlace place) {
    return new RegisteredPiece(shards.get(place.shard()).component(), place.piece());
  }

  /// The pieces of a shard as they lie in its file: indexes into [#pieces].
  public List<Integer> fileOrder(int shard) {
    return IntStream.range(0, pieces.size())
        .filter(i -> pieces.get(i).shard() == shard)
        .boxed()
        .sorted(fileOrder(i -> pieces.get(i).piece()))
        .toList();
  }

  /// The first bytes of a shard's image: its safetensors header.
  public byte[] header(int shard) {
    return header(fileOrder(shard).stream().map(i -> pieces.get(i).piece()).toList());
  }

  /// Larger elements first, so that each piece begins at a multiple of its element size; the sort
  /// is stable, which keeps the order of registration among equals.
  static <T> Comparator<T> fileOrder(Function<T, Piece> piece) {
    return Comparator.comparingInt((T t) -> piece.apply(t).tensor().dtype().bits()).reversed();
  }

  static byte[] header(List<Piece> inFileOrder) {
    boolean whole = inFileOrder.stream().allMatch(Piece::isWhole);
    PieceNames names = new PieceNames();
    List<Tensor> tensors = new ArrayList<>(inFileOrder.size());
    for (Piece piece : inFileOrder) {
      tensors.add(new Tensor(names.next(piece), piece.tensor().dtype(), piece.slice().extent()));
    }
    return SafetensorsEncoder.header(tensors, whole ? Map.of("format", "pt") : Map.of(), ALIGNMENT);
  }

  static long alignUp(long value, long alignment) {
    return Math.multiplyExact(Math.ceilDiv(value, alignment), alignment);
  }
}
