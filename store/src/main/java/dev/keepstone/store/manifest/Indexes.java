package dev.keepstone.store.manifest;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/// The indexes by which weights-only readers load a checkpoint's folder as it lies
/// (docs/spec/store.md §6): of each component whose tensors are whole there, which file holds
/// which.
public final class Indexes {
  private Indexes() {}

  /// Those of a checkpoint of several ranks, which no rank alone can tell: a function of the parts,
  /// put by who commits. Of a single rank its part lists them.
  ///
  /// @param parts one of each rank, in order
  /// @return bytes by file name
  public static SortedMap<String, byte[]> of(List<Part> parts) {
    if (parts.size() == 1) {
      return new TreeMap<>();
    }
    return ofShards(parts.stream().flatMap(part -> part.shards().stream()).toList());
  }

  /// Those that one rank's shards give.
  public static SortedMap<String, byte[]> of(Part part) {
    return ofShards(part.shards());
  }

  private static SortedMap<String, byte[]> ofShards(List<ShardReceipt> shards) {
    Map<String, List<ShardReceipt>> components = new LinkedHashMap<>();
    for (ShardReceipt shard : shards) {
      components.computeIfAbsent(shard.component(), _ -> new ArrayList<>()).add(shard);
    }
    SortedMap<String, byte[]> files = new TreeMap<>();
    components.forEach((component, all) -> {
      // An index cannot name a file of another folder.
      if (all.stream().allMatch(shard -> shard.whole() && shard.from() == null)) {
        files.put(Names.index(component), index(all));
      }
    });
    return files;
  }

  private static byte[] index(List<ShardReceipt> shards) {
    Json.Builder weights = Json.object();
    long total = 0;
    for (ShardReceipt shard : shards) {
      total += shard.bytes() - shard.header();
      for (PieceReceipt piece : shard.pieces()) {
        weights.put(piece.piece().tensor().name(), shard.file());
      }
    }
    return JsonWriter.bytes(
        Json.object()
            .put("metadata", Json.object().put("total_size", total).build())
            .put("weight_map", weights.build())
            .build());
  }
}
