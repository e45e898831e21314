package dev.keepstone.store.manifest;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.health.Health;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.object.Fields;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.StoreObject;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.part.StoredPart;
import dev.keepstone.store.reference.CheckpointId;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/// `manifests/<id>.json`: its presence commits the checkpoint.
///
/// A function of the parts and of nothing else, so that any agent may put it any number of times
/// with the same bytes.
///
/// @param summary what a listing needs of it
/// @param parts the parts in order of rank
/// @param files every shard, state tree and extra, by rank, then as in the part
public record Manifest(Summary summary, List<PartFile> parts, List<StoredFile> files) {
  private static final String KIND = "manifest";

  public Manifest {
    parts = List.copyOf(parts);
    files = List.copyOf(files);
    if (parts.size() != summary.world) {
      throw new IllegalArgumentException(
          "expected a part of each of " + summary.world + " ranks, found " + parts.size());
    }
    for (int rank = 0; rank < parts.size(); rank++) {
      if (!parts.get(rank).file.equals(Names.partFile(rank))) {
        throw new IllegalArgumentException(
            "expected part "
                + rank
                + " to be "
                + Names.partFile(rank)
                + ", found "
                + parts.get(rank).file);
      }
    }
  }

  /// What a listing needs of a manifest.
  ///
  /// @param uid the run's
  /// @param id the checkpoint
  /// @param world its ranks
  /// @param metrics those of rank 0
  /// @param tensors how many, over all components
  /// @param bytes sum over its shards, used ones included: what a restore reads
  /// @param usedBytes how many of them lie in the folders of other checkpoints
  /// @param ownFiles how many files lie in its own folder, parts apart; negative where a snapshot
  ///   of version 1 did not tell
  /// @param health what the numbers look like
  /// @param uses checkpoints whose shards this one needs
  /// @param created when the last of its ranks let go of it; null in manifests of older agents
  public record Summary(
      String uid,
      CheckpointId id,
      int world,
      Json.Obj metrics,
      long tensors,
      long bytes,
      long usedBytes,
      int ownFiles,
      Soundness health,
      List<CheckpointId> uses,
      @Nullable Instant created) {
    public Summary {
      Fields.requireUid(uid);
      uses = List.copyOf(uses);
      if (usedBytes < 0 || usedBytes > bytes) {
        throw new IllegalArgumentException(
            "expected at most " + bytes + " bytes used of other checkpoints, found " + usedBytes);
      }
    }

    /// Bytes of the shards in its own folder: what its deletion frees.
    public long ownBytes() {
      return bytes - usedBytes;
    }

    /// Its form in a snapshot of version 1, in which what is empty is left out.
    ///
    /// @param uid the run's
    /// @throws JsonException where it is none
    public static Summary read(String uid, Json.Obj fields) {
      return SummaryJson.read(uid, fields);
    }
  }

  /// What the numbers of a checkpoint look like.
  public enum Soundness {
    OK("ok"),
    /// A piece has an element that is not finite.
    SUSPECT("suspect"),
    /// No piece has been looked at.
    UNKNOWN("unknown");

    private final String text;

    Soundness(String text) {
      this.text = text;
    }

    /// How it stands in the manifest and in listings.
    public String text() {
      return text;
    }

    static Soundness parse(String text) {
      for (Soundness soundness : values()) {
        if (soundness.text.equals(text)) {
          return soundness;
        }
      }
      throw new JsonException(
          "field \"health\": expected ok, suspect or unknown, found \"" + text + "\"");
    }
  }

  /// A part, as an object of the store.
  public record PartFile(String file, long bytes, int crc32) {}

  /// A file that the checkpoint is made of.
  ///
  /// @param from the checkpoint in whose folder it lies; null where that is its own
  /// @param component null for all but shards
  public record StoredFile(
      String file,
      @Nullable CheckpointId from,
      @Nullable String component,
      int rank,
      long bytes,
      int crc32) {
    public StoredFile {
      Names.requirePlain(file);
    }

    /// The checkpoint whose folder holds it.
    ///
    /// @param own whose manifest this is in
    public CheckpointId home(CheckpointId own) {
      return from == null ? own : from;
    }
  }

  public CheckpointId id() {
    return summary.id;
  }

  /// The manifest of a whole set of parts.
  ///
  /// @param parts one of each rank, in any order
  /// @throws dev.keepstone.core.failure.KeepstoneException.Integrity where they do not cover every
  ///   tensor exactly once ([Cover])
  public static Manifest of(List<StoredPart> parts) {
    List<StoredPart> ordered =
        parts.stream().sorted(Comparator.comparingInt(stored -> stored.part().rank())).toList();
    Part first = ordered.getFirst().part();
    List<Part> receipts = ordered.stream().map(StoredPart::part).toList();
    for (Part part : receipts) {
      if (!part.uid().equals(first.uid())
          || !part.id().equals(first.id())
          || part.world() != first.world()) {
        throw new IllegalArgumentException(
            "parts of one checkpoint differ in run, id or world: rank "
                + first.rank()
                + " and rank "
                + part.rank());
      }
    }
    Cover.prove(receipts);
    List<StoredFile> files = files(receipts);
    return new Manifest(
        summary(receipts, ownFiles(files)),
        ordered.stream()
            .map(stored ->
                new PartFile(Names.partFile(stored.part().rank()), stored.bytes(), stored.crc32()))
            .toList(),
        files);
  }

  /// Indexes over several ranks stand with what rank 0 has put.
  private static List<StoredFile> files(List<Part> parts) {
    List<StoredFile> files = new ArrayList<>();
    for (Part part : parts) {
      files.addAll(files(part));
      if (part.rank() == 0) {
        Indexes.of(parts)
            .forEach((file, bytes) -> {
              int crc = Crc32.of(bytes, 0, bytes.length);
              files.add(plain(new FileReceipt(file, bytes.length, crc), 0));
            });
      }
    }
    return files;
  }

  private static int ownFiles(List<StoredFile> files) {
    return (int)
        files.stream().filter(file -> file.from == null).map(file -> file.file).distinct().count();
  }

  private static Summary summary(List<Part> parts, int ownFiles) {
    Part first = parts.getFirst();
    Set<List<String>> tensors = new HashSet<>();
    long bytes = 0;
    long used = 0;
    SortedSet<CheckpointId> uses = new TreeSet<>();
    boolean looked = false;
    boolean suspect = false;
    for (Part part : parts) {
      uses.addAll(part.uses());
      for (ShardReceipt shard : part.shards()) {
        used += shard.from() == null ? 0 : shard.bytes();
        bytes = Math.addExact(bytes, shard.bytes());
        for (PieceReceipt piece : shard.pieces()) {
          tensors.add(List.of(shard.component(), piece.piece().tensor().name()));
          Health health = piece.health();
          looked |= health != null;
          suspect |= health != null && health.nonfinite() > 0;
        }
      }
    }
    return new Summary(
        first.uid(),
        first.id(),
        first.world(),
        first.metrics(),
        tensors.size(),
        bytes,
        used,
        ownFiles,
        suspect ? Soundness.SUSPECT : looked ? Soundness.OK : Soundness.UNKNOWN,
        List.copyOf(uses),
        parts.stream().map(Part::sealed).max(Comparator.naturalOrder()).orElseThrow());
  }

  private static List<StoredFile> files(Part part) {
    List<StoredFile> files = new ArrayList<>();
    for (ShardReceipt shard : part.shards()) {
      files.add(
          new StoredFile(
              shard.file(),
              shard.from(),
              shard.component(),
              part.rank(),
              shard.bytes(),
              shard.crc32()));
    }
    files.add(plain(part.state(), part.rank()));
    for (FileReceipt extra : part.extra()) {
      files.add(plain(extra, part.rank()));
    }
    return files;
  }

  private static StoredFile plain(FileReceipt receipt, int rank) {
    return new StoredFile(receipt.file(), null, null, rank, receipt.bytes(), receipt.crc32());
  }

  /// The object's bytes.
  public byte[] encode() {
    Json.Builder fields =
        StoreObject.begin(KIND)
            .put("uid", summary.uid)
            .put("id", summary.id.toString())
            .put("start", summary.id.start())
            .put("step", summary.id.step())
            .put("world", summary.world)
            .put("metrics", summary.metrics)
            .put("tensors", summary.tensors)
            .put("bytes", summary.bytes);
    if (summary.usedBytes > 0) {
      fields.put("used_bytes", summary.usedBytes);
    }
    fields
        .put("health", summary.health.text)
        .put("parts", Json.array(parts.stream().map(Manifest::json).toList()))
        .put("files", Json.array(files.stream().map(Manifest::json).toList()))
        .put("uses", Json.array(summary.uses.stream().map(id -> Json.of(id.toString())).toList()));
    if (summary.created != null) {
      fields.put("created", summary.created.toString());
    }
    return StoreObject.encode(fields.build());
  }

  private static Json json(PartFile part) {
    return Json.object()
        .put("file", part.file)
        .put("bytes", part.bytes)
        .put("crc32", Crc32.hex(part.crc32))
        .build();
  }

  private static Json json(StoredFile file) {
    Json.Builder fields = Json.object().put("file", file.file);
    if (file.from != null) {
      fields.put("from", file.from.toString());
    }
    if (file.component != null) {
      fields.put("component", file.component);
    }
    return fields
        .put("rank", file.rank)
        .put("bytes", file.bytes)
        .put("crc32", Crc32.hex(file.crc32))
        .build();
  }

  /// @param describe the object's name, for messages
  public static Manifest decode(byte[] bytes, String describe) {
    return StoreObject.decode(bytes, KIND, describe, Manifest::fromJson);
  }

  private static Manifest fromJson(Json.Obj fields) {
    CheckpointId id = Fields.id(fields, "id");
    if (fields.integer("start") != id.start() || fields.integer("step") != id.step()) {
      throw new JsonException(
          "expected start and step of "
              + id
              + ", found "
              + fields.integer("start")
              + " and "
              + fields.integer("step"));
    }
    List<StoredFile> files = Fields.objects(fields, "files").stream().map(Manifest::file).toList();
    return new Manifest(
        new Summary(
            fields.text("uid"),
            id,
            Fields.count(fields, "world", 1),
            fields.object("metrics"),
            Fields.bytes(fields, "tensors"),
            Fields.bytes(fields, "bytes"),
            fields.has("used_bytes") ? Fields.bytes(fields, "used_bytes") : 0,
            ownFiles(files),
            Soundness.parse(fields.text("health")),
            uses(fields),
            fields.has("created") ? Fields.instant(fields, "created") : null),
        Fields.objects(fields, "parts").stream()
            .map(part ->
                new PartFile(
                    part.text("file"), Fields.bytes(part, "bytes"), Fields.crc(part, "crc32")))
            .toList(),
        files);
  }

  private static StoredFile file(Json.Obj fields) {
    return new StoredFile(
        fields.text("file"),
        fields.has("from") ? Fields.id(fields, "from") : null,
        fields.has("component") ? fields.text("component") : null,
        Fields.count(fields, "rank", 0),
        Fields.bytes(fields, "bytes"),
        Fields.crc(fields, "crc32"));
  }

  static List<CheckpointId> uses(Json.Obj fields) {
    List<CheckpointId> uses = new ArrayList<>();
    for (Json value : fields.array("uses")) {
      if (!(value instanceof Json.Text(String text))) {
        throw new JsonException("field \"uses\": expected ids");
      }
      uses.add(CheckpointId.parse(text));
    }
    return uses;
  }
}
