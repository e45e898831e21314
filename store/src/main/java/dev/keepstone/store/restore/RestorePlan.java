package dev.keepstone.store.restore;

import dev.keepstone.core.reshard.Need;
import dev.keepstone.store.part.PieceReceipt;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.function.IntFunction;

/// What one reader gets: pieces one after another in one stream, of which only the granules come
/// that hold something wanted (docs/spec/wire.md, `want`).
///
/// @param places in the order of the stream
/// @param total bytes of the stream
/// @param granules that come
public record RestorePlan(List<Place> places, long total, long granules) {
  public RestorePlan {
    places = List.copyOf(places);
  }

  /// Where a piece lies.
  ///
  /// @param wanted which of its granules come
  /// @param at of its first byte in the stream
  public record Place(PieceReceipt piece, BitSet wanted, long at) {}

  /// @param needs of the pieces, in their order
  /// @param pieces of one checkpoint, by index, in the order of its shards
  public static RestorePlan of(List<Need> needs, IntFunction<PieceReceipt> pieces) {
    List<Place> places = new ArrayList<>();
    long at = 0;
    long granules = 0;
    for (Need need : needs) {
      PieceReceipt piece = pieces.apply(need.piece());
      places.add(new Place(piece, need.granules(), at));
      at = Math.addExact(at, piece.bytes());
      granules += need.granules().cardinality();
    }
    return new RestorePlan(places, at, granules);
  }
}
