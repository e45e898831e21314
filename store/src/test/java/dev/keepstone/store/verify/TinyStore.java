package dev.keepstone.store.verify;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.format.safetensors.SafetensorsEncoder;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Decision;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StateObject;
import dev.keepstone.store.part.StoredPart;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.tier.LocalTier;
import dev.keepstone.store.tier.StoreClock;
import dev.keepstone.store.tier.Tier;
import dev.keepstone.testkit.Seeds;
import dev.keepstone.testkit.SettableClock;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;

/// A committed checkpoint of one rank in a store of its own, put object by object, so that a test
/// can put wrong ones.
public final class TinyStore {
  public static final CheckpointId ID = new CheckpointId(1, 40);
  public static final String NONCE = "7c1e02aa";
  public static final Names NAMES = new Names("run");

  private static final SettableClock CLOCK = SettableClock.atStart();

  private final Disk disk;
  private final Path root;
  private final Random random = Seeds.random(1);
  final Tier tier;
  final Run run;
  final List<ShardReceipt> shards = new ArrayList<>();

  public TinyStore(Disk disk, Path root) throws IOException {
    this.disk = disk;
    this.root = root;
    this.tier = tier(disk);
    this.run = StoreRoot.openOrMake(tier, CLOCK).runOrMake("run", CLOCK, random);
    put(
        NAMES.start(1),
        new Start(run.uid(), 1, "token", 1, Start.Wanted.LATEST, CLOCK.instant(), null).encode());
    put(NAMES.parent(1), new Decision(run.uid(), 1, new Decision.Parent.Fresh()).encode());
  }

  Tier tier(Disk other) {
    StoreClock clock = StoreClock.of(CLOCK, () -> 0, time -> {});
    return new LocalTier(other, root, clock, NONCE, Duration.ZERO);
  }

  public Tier tier() {
    return tier;
  }

  public Run run() {
    return run;
  }

  Path path(String name) {
    return root.resolve(name);
  }

  void put(String name, byte[] bytes) {
    tier.put(name, bytes);
  }

  /// Writes a shard of random bytes.
  public ShardReceipt shard(String component, List<Tensor> tensors) throws IOException {
    byte[] header = SafetensorsEncoder.header(tensors, Map.of("format", "pt"), 4096);
    long bytes = header.length + tensors.stream().mapToLong(Tensor::byteLength).sum();
    byte[] all = new byte[Math.toIntExact(bytes)];
    random.nextBytes(all);
    System.arraycopy(header, 0, all, 0, header.length);
    List<PieceReceipt> pieces = new ArrayList<>();
    int at = header.length;
    for (Tensor tensor : tensors) {
      int length = (int) tensor.byteLength();
      String crcs = Granules.hex(Granules.of(MemorySegment.ofArray(all).asSlice(at, length)));
      pieces.add(new PieceReceipt(Piece.whole(tensor), at, crcs, null));
      at += length;
    }
    String file = Names.shard(component, 0, NONCE);
    write(NAMES.file(ID, file), all);
    ShardReceipt receipt =
        new ShardReceipt(
            file,
            component,
            bytes,
            header.length,
            Crc32.of(header, 0, header.length),
            Crc32.of(all, 0, all.length),
            true,
            pieces);
    shards.add(receipt);
    return receipt;
  }

  private void write(String name, byte[] bytes) throws IOException {
    try (OpenFile file = tier.createShard(name)) {
      file.write(0, MemorySegment.ofArray(bytes));
      file.sync();
    }
  }

  /// Puts state tree, index, part and manifest.
  public Manifest commit() throws IOException {
    Json.Obj tree =
        JsonReader.readObject("{\"state\":{\"tokens\":81920},\"keepstone\":{}}".getBytes(UTF_8));
    FileReceipt state =
        file(Names.state(0, NONCE), new StateObject(run.uid(), ID, 0, tree).encode());
    FileReceipt index =
        file(Names.index("model"), "{\"metadata\":{},\"weight_map\":{}}".getBytes(UTF_8));
    return commit(
        new Part(
            run.uid(),
            ID,
            0,
            1,
            NONCE,
            Json.object().put("loss", 2.5).build(),
            shards,
            state,
            List.of(index),
            Json.object().put("client", "keepstone 0.1.0").build(),
            CLOCK.instant(),
            4.1));
  }

  Manifest commit(Part part) {
    byte[] bytes = part.encode();
    put(NAMES.part(ID, 0), bytes);
    Manifest manifest = Manifest.of(List.of(StoredPart.of(part, bytes)));
    put(NAMES.manifest(ID), manifest.encode());
    return manifest;
  }

  private FileReceipt file(String name, byte[] bytes) throws IOException {
    write(NAMES.file(ID, name), bytes);
    return new FileReceipt(name, bytes.length, Crc32.of(bytes, 0, bytes.length));
  }

  Disk disk() {
    return disk;
  }
}
