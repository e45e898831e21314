package dev.keepstone.agent.drain;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The files that let weights-only readers load a checkpoint's folder as it lies: an index per
/// component that lies whole in the folder, and the model's own configuration (docs/spec/store.md
/// §6).
///
/// An index has no nonce in its name and names a shard that has one. Put before the part, one that
/// a dead agent left would stand for ever and name a shard that is not the part's. So it is a
/// function of the part, listed in it, and put after it.
final class Extras {
  private static final String MODEL = "model";
  private static final String CONFIG = "config.json";

  private Extras() {}

  /// The part with the receipts of its extras.
  static Part named(Part bare, Layout layout) {
    List<FileReceipt> receipts = new ArrayList<>();
    of(bare, layout)
        .forEach((file, bytes) ->
            receipts.add(new FileReceipt(file, bytes.length, Crc32.of(bytes, 0, bytes.length))));
    return new Part(
        bare.uid(),
        bare.id(),
        bare.rank(),
        bare.world(),
        bare.nonce(),
        bare.metrics(),
        bare.shards(),
        bare.state(),
        receipts,
        bare.provenance(),
        bare.sealed(),
        bare.stallMs());
  }

  /// Name and bytes of each. Empty where one rank's part is not the whole checkpoint.
  static Map<String, byte[]> of(Part part, Layout layout) {
    Map<String, byte[]> files = new LinkedHashMap<>();
    if (part.world() != 1) {
      return files;
    }
    Map<String, List<ShardReceipt>> components = new LinkedHashMap<>();
    for (ShardReceipt shard : part.shards()) {
      components.computeIfAbsent(shard.component(), _ -> new ArrayList<>()).add(shard);
    }
    components.forEach((component, shards) -> {
      // An index cannot name a file of another folder.
      if (shards.stream().allMatch(shard -> shard.whole() && shard.from() == null)) {
        files.put(Names.index(component), index(shards));
      }
    });
    Json.Obj configs = layout.configs();
    Json config =
        configs.fields().size() == 1
            ? configs.fields().values().iterator().next()
            : configs.get(MODEL);
    if (config instanceof Json.Obj) {
      files.put(CONFIG, JsonWriter.bytes(config));
    }
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
