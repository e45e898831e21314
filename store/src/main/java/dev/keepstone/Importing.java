package dev.keepstone;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.convert.ConvertReport;
import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.convert.Share;
import dev.keepstone.core.convert.TensorCopy;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.format.safetensors.SafetensorsIndex;
import dev.keepstone.core.format.safetensors.SafetensorsWriter;
import dev.keepstone.core.health.Health;
import dev.keepstone.core.health.HealthScan;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredTensor;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.PartOutcome;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.tier.Put;
import dev.keepstone.store.tier.Tier;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// One import: shards first, which take long and which nobody sees without a run; then the run, its
/// start and its decision; then what is small, the part, and the manifest.
final class Importing {
  private static final String MODEL = "model";

  private final Host host;
  private final CheckpointView source;
  private final Tier tier;
  private final Names names;
  private final CheckpointId id;
  private final Progress progress;
  private final String nonce;
  private final List<String> made = new ArrayList<>();
  private final List<ConvertReport.Done> done = new ArrayList<>();
  private boolean handedOver;

  Importing(
      Host host,
      CheckpointView source,
      Tier tier,
      Names names,
      CheckpointId id,
      Progress progress) {
    this.host = host;
    this.source = source;
    this.tier = tier;
    this.names = names;
    this.id = id;
    this.progress = progress;
    this.nonce = host.nonce();
  }

  /// @param makeRun makes the run
  /// @param from what is imported, for the record
  Import.Report run(Supplier<Run> makeRun, String from) throws IOException {
    Map<String, List<StoredTensor>> components = components();
    long bytes = source.tensors().stream().mapToLong(t -> t.tensor().byteLength()).sum();
    try {
      List<ShardReceipt> shards = new ArrayList<>();
      try (TensorCopy copy =
          new TensorCopy(
              source,
              components.values().stream().flatMap(List::stream).map(Share::whole).toList(),
              progress)) {
        for (var component : components.entrySet()) {
          shards.add(shard(component.getKey(), component.getValue(), copy));
        }
      }
      long written = shards.stream().mapToLong(ShardReceipt::bytes).sum();
      commit(makeRun.get(), shards, components, from);
      return new Import.Report(id, new ConvertReport("keepstone", bytes, written, done, List.of()));
    } finally {
      if (!handedOver) {
        removeMade();
      }
    }
  }

  private Map<String, List<StoredTensor>> components() {
    Map<String, List<StoredTensor>> components = new LinkedHashMap<>();
    for (StoredTensor tensor : source.tensors()) {
      components.computeIfAbsent(component(tensor), _ -> new ArrayList<>()).add(tensor);
    }
    components
        .values()
        .forEach(tensors ->
            tensors.sort(
                Comparator.comparingInt((StoredTensor t) -> t.tensor().dtype().bits()).reversed()));
    return components;
  }

  private static String component(StoredTensor tensor) {
    return tensor.component().isEmpty() ? MODEL : tensor.component();
  }

  private ShardReceipt shard(String component, List<StoredTensor> stored, TensorCopy copy)
      throws IOException {
    List<Tensor> tensors = stored.stream().map(StoredTensor::tensor).toList();
    List<@Nullable Health> health = new ArrayList<>();
    String file = Names.shard(component, 0, nonce);
    String name = names.file(id, file);
    made.add(name);
    SafetensorsWriter.Written written;
    try (OpenFile out = tier.createShard(name);
        SafetensorsWriter writer = SafetensorsWriter.begin(out, tensors, Map.of("format", "pt"))) {
      for (StoredTensor tensor : stored) {
        HealthScan scan =
            HealthScan.counts(tensor.tensor().dtype())
                ? HealthScan.of(tensor.tensor().dtype())
                : null;
        copy.copy(
            Share.whole(tensor),
            bytes -> {
              writer.write(bytes);
              if (scan != null) {
                scan.accept(bytes);
              }
            });
        health.add(scan == null ? null : scan.result());
      }
      written = writer.finish();
    }
    return receipt(component, file, tensors, written, health);
  }

  private ShardReceipt receipt(
      String component,
      String file,
      List<Tensor> tensors,
      SafetensorsWriter.Written written,
      List<@Nullable Health> health) {
    List<PieceReceipt> pieces = new ArrayList<>();
    long at = written.headerBytes();
    int crc = written.headerCrc();
    for (int i = 0; i < tensors.size(); i++) {
      Tensor tensor = tensors.get(i);
      int[] granules = written.granules().get(i);
      pieces.add(new PieceReceipt(Piece.whole(tensor), at, Granules.hex(granules), health.get(i)));
      int pieceCrc = Granules.combine(granules, tensor.byteLength());
      crc = Crc32.combine(crc, pieceCrc, tensor.byteLength());
      at += tensor.byteLength();
      done.add(new ConvertReport.Done(tensor.name(), tensor, pieceCrc));
    }
    return new ShardReceipt(
        file,
        component,
        written.fileBytes(),
        written.headerBytes(),
        written.headerCrc(),
        crc,
        true,
        pieces);
  }

  private void commit(
      Run run, List<ShardReceipt> shards, Map<String, List<StoredTensor>> components, String from) {
    // Another start would fence the trainer that announced the first.
    if (!run.starts().announced().isEmpty()) {
      throw started();
    }
    Starts starts = new Starts(run, host.clock(), Starts.Check.none());
    Start start = starts.join(host.token(), 1, Wanted.FRESH);
    if (start.number() != id.start() || starts.decide(start).start() != id.start()) {
      throw started();
    }
    Json.Obj tree = source.state().orElseGet(() -> tree(components));
    byte[] state = new StateObject(run.uid(), id, 0, tree).encode();
    FileReceipt stateReceipt = put(Names.state(0, nonce), state);
    List<FileReceipt> extras = new ArrayList<>();
    for (ShardReceipt shard : shards) {
      extras.add(put(Names.index(shard.component()), index(shard)));
    }
    source.config().ifPresent(config -> extras.add(put("config.json", config)));
    Json.Obj provenance =
        Json.object().put("imported_from", from).put("format", source.format()).build();
    Part part =
        new Part(
            run.uid(),
            id,
            0,
            1,
            nonce,
            Json.object().build(),
            shards,
            stateReceipt,
            extras,
            provenance,
            host.clock().instant(),
            0);
    Commit commit = new Commit(run);
    // From here on others may publish what the part names, so nothing of it is removed any more.
    handedOver = true;
    if (commit.putPart(part) instanceof PartOutcome.Unknown(String why)) {
      throw unknown(why);
    }
    requireCommitted(commit.publish(id));
  }

  private KeepstoneException.Refused started() {
    return new KeepstoneException.Refused(
        "a trainer has started the run meanwhile", tier.describe(names.run()), "name another run");
  }

  private void requireCommitted(Published published) {
    String on = tier.describe(names.run()) + "@" + id;
    switch (published) {
      case Published.Committed() -> {}
      case Published.Unknown(String why) -> throw unknown(why);
      case Published.Fenced(int start) ->
          throw new KeepstoneException.Fenced(
              "start " + start + " of the run goes on from elsewhere", on, "name another run");
      case Published.Lost(String why) ->
          throw new KeepstoneException.Failed(why, on, "import into another run", null);
      case Published.Refused refused ->
          throw new KeepstoneException.Failed(
              "the attempt was ended: " + refused.refusal().why(),
              on,
              "import into another run",
              null);
      case Published.Incomplete incomplete ->
          throw new KeepstoneException.Failed(
              "the part that was put is not there", on, "import into another run", null);
    }
  }

  private KeepstoneException.OutcomeUnknown unknown(String why) {
    return new KeepstoneException.OutcomeUnknown(
        "whether the checkpoint stands is not known: " + why,
        tier.describe(names.run()) + "@" + id,
        "keepstone ls shows whether it does");
  }

  private FileReceipt put(String file, byte[] bytes) {
    String name = names.file(id, file);
    made.add(name);
    switch (tier.put(name, bytes)) {
      case Put.Committed() -> {}
      case Put.Lost lost ->
          throw new KeepstoneException.Refused(
              "the name is taken", tier.describe(name), "name another run");
      case Put.Unknown(String why) -> throw unknown(why);
    }
    return new FileReceipt(file, bytes.length, Crc32.of(bytes, 0, bytes.length));
  }

  private static byte[] index(ShardReceipt shard) {
    Map<String, String> weightMap = new LinkedHashMap<>();
    shard.pieces().forEach(piece -> weightMap.put(piece.piece().tensor().name(), shard.file()));
    return new SafetensorsIndex(weightMap).encode(shard.bytes() - shard.header());
  }

  /// A dict of tensors per component, as a trainer's state would be.
  private static Json.Obj tree(Map<String, List<StoredTensor>> components) {
    Json.Builder state = Json.object();
    components.forEach((component, tensors) -> state.put(component, dict(component, tensors)));
    return Json.object()
        .put("state", state.build())
        .put("keepstone", Json.object().build())
        .build();
  }

  private static Json.Obj dict(String component, List<StoredTensor> tensors) {
    boolean plain = tensors.stream().noneMatch(tensor -> tensor.tensor().name().equals("~"));
    Json.Builder dict = Json.object();
    List<Json> pairs = new ArrayList<>();
    for (StoredTensor tensor : tensors) {
      String name = tensor.tensor().name();
      Json leaf =
          Json.object().put("~", "tensor").put("component", component).put("name", name).build();
      if (plain) {
        dict.put(name, leaf);
      } else {
        pairs.add(Json.array(List.of(Json.of(name), leaf)));
      }
    }
    return plain
        ? dict.build()
        : Json.object().put("~", "dict").put("v", Json.array(pairs)).build();
  }

  /// Takes back what nobody can see yet; the failure that led here is the one to tell.
  private void removeMade() {
    List<String> gone = new ArrayList<>(made);
    gone.addAll(List.of(names.checkpoint(id), names.checkpoints(), names.run()));
    for (String name : gone) {
      try {
        tier.delete(name);
      } catch (KeepstoneException e) {
        System.getLogger(Importing.class.getName())
            .log(System.Logger.Level.DEBUG, "left behind: " + name, e);
      }
    }
  }
}
