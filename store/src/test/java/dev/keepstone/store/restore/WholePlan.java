package dev.keepstone.store.restore;

import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.reshard.Need;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/// The plan of a reader that wants every byte of some parts.
public record WholePlan(List<ShardReceipt> shards, RestorePlan plan) {
  public static WholePlan of(List<Part> parts) {
    List<ShardReceipt> shards = parts.stream().flatMap(part -> part.shards().stream()).toList();
    List<PieceReceipt> pieces = shards.stream().flatMap(shard -> shard.pieces().stream()).toList();
    List<Need> needs = new ArrayList<>();
    for (int i = 0; i < pieces.size(); i++) {
      BitSet all = new BitSet();
      all.set(0, (int) Granules.count(pieces.get(i).bytes()));
      needs.add(new Need(i, all));
    }
    return new WholePlan(shards, RestorePlan.of(needs, pieces::get));
  }
}
