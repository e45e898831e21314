package dev.keepstone.store.restore;

import dev.keepstone.core.tensor.Piece;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import java.util.ArrayList;
import java.util.List;

/// All pieces of some parts as one stream: rank by rank, shard by shard, in file order, without
/// headers (docs/spec/wire.md, `open`).
///
/// @param shards in the order of the stream
/// @param places one for each piece, empty ones included
/// @param total bytes of the stream
public record RestorePlan(List<ShardReceipt> shards, List<Place> places, long total) {
  public RestorePlan {
    shards = List.copyOf(shards);
    places = List.copyOf(places);
  }

  /// Where a piece lies.
  ///
  /// @param at of its first byte in the stream
  public record Place(String component, Piece piece, long at) {}

  /// @param parts of one checkpoint, in order of rank
  public static RestorePlan of(List<Part> parts) {
    List<ShardReceipt> shards = new ArrayList<>();
    List<Place> places = new ArrayList<>();
    long at = 0;
    for (Part part : parts) {
      for (ShardReceipt shard : part.shards()) {
        shards.add(shard);
        for (PieceReceipt piece : shard.pieces()) {
          places.add(new Place(shard.component(), piece.piece(), at));
          at = Math.addExact(at, piece.bytes());
        }
      }
    }
    return new RestorePlan(shards, places, at);
  }
}
