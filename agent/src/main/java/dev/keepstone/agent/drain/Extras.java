package dev.keepstone.agent.drain;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.segment.layout.Layout;
import dev.keepstone.store.manifest.Indexes;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
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

  /// Name and bytes of each. Indexes of several ranks are put by who commits, since no rank alone
  /// can tell them; the configuration is put by rank 0.
  static Map<String, byte[]> of(Part part, Layout layout) {
    Map<String, byte[]> files = new LinkedHashMap<>();
    if (part.rank() > 0) {
      return files;
    }
    if (part.world() == 1) {
      files.putAll(Indexes.of(part));
    }
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
}
