package dev.keepstone.store.part;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.object.Fields;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.StoreObject;
import dev.keepstone.store.reference.CheckpointId;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;

/// One rank's receipt of what it stored of one checkpoint.
///
/// @param uid the run's
/// @param id the checkpoint
/// @param rank whose, from 0
/// @param world ranks of the checkpoint
/// @param nonce the start of the agent that wrote it
/// @param metrics of the save; finite numbers, the others in state-tree form
/// @param shards what holds its tensors
/// @param state its state tree
/// @param extra indexes and configurations that it put
/// @param provenance versions of client, agent, framework and language
/// @param sealed when the trainer let go
/// @param stallMs how long the trainer was blocked
public record Part(
    String uid,
    CheckpointId id,
    int rank,
    int world,
    String nonce,
    Json.Obj metrics,
    List<ShardReceipt> shards,
    FileReceipt state,
    List<FileReceipt> extra,
    Json.Obj provenance,
    Instant sealed,
    double stallMs)
    implements PartRecord {
  private static final String KIND = "part";

  public Part {
    Ranks.require(uid, nonce, rank, world);
    shards = List.copyOf(shards);
    extra = List.copyOf(extra);
    Set<String> paths = new HashSet<>();
    for (ShardReceipt shard : shards) {
      requireName(shard, rank, nonce);
      if (id.equals(shard.from())) {
        throw new IllegalArgumentException(shard.file() + ": used from its own checkpoint " + id);
      }
      if (!paths.add(shard.path())) {
        throw new IllegalArgumentException("two shards of this part are called " + shard.path());
      }
    }
    String expected = Names.state(rank, nonce);
    if (!state.file().equals(expected)) {
      throw new IllegalArgumentException(
          "expected the state tree of this part to be called "
              + expected
              + ", found "
              + state.file());
    }
  }

  private static void requireName(ShardReceipt shard, int rank, String nonce) {
    boolean named =
        Names.componentOf(shard.file()).equals(Optional.of(shard.component()))
            && (shard.from() != null
                || shard.file().startsWith(ownPrefix(shard.component(), rank, nonce)));
    if (!named) {
      throw new IllegalArgumentException(
          "expected a shard of "
              + shard.component()
              + (shard.from() == null
                  ? " called " + Names.shard(shard.component(), rank, nonce)
                  : " of " + shard.from())
              + ", found "
              + shard.file());
    }
  }

  private static String ownPrefix(String component, int rank, String nonce) {
    return component + "-" + Names.rank(rank) + "." + nonce + ".";
  }

  /// The checkpoints whose shards it uses.
  public SortedSet<CheckpointId> uses() {
    SortedSet<CheckpointId> uses = new TreeSet<>();
    for (ShardReceipt shard : shards) {
      if (shard.from() != null) {
        uses.add(shard.from());
      }
    }
    return uses;
  }

  /// Whether all extras are among these files of the folder.
  public boolean extrasIn(Set<String> files) {
    return extra.stream().allMatch(receipt -> files.contains(receipt.file()));
  }

  @Override
  public byte[] encode() {
    return StoreObject.encode(
        StoreObject.begin(KIND)
            .put("uid", uid)
            .put("id", id.toString())
            .put("rank", rank)
            .put("world", world)
            .put("nonce", nonce)
            .put("step", id.step())
            .put("metrics", metrics)
            .put("shards", Json.array(shards.stream().map(ShardReceipt::toJson).toList()))
            .put("state", state.toJson())
            .put("extra", Json.array(extra.stream().map(FileReceipt::toJson).toList()))
            .put("provenance", provenance)
            .put("sealed", sealed.toString())
            .put("stall_ms", stallMs)
            .build());
  }

  /// @param describe the object's name, for messages
  public static Part decode(byte[] bytes, String describe) {
    return StoreObject.decode(bytes, KIND, describe, Part::fromJson);
  }

  private static Part fromJson(Json.Obj fields) {
    CheckpointId id = Fields.id(fields, "id");
    if (fields.integer("step") != id.step()) {
      throw new JsonException(
          "field \"step\": expected " + id.step() + ", found " + fields.integer("step"));
    }
    return new Part(
        fields.text("uid"),
        id,
        Fields.count(fields, "rank", 0),
        Fields.count(fields, "world", 1),
        fields.text("nonce"),
        fields.object("metrics"),
        Fields.objects(fields, "shards").stream().map(ShardReceipt::fromJson).toList(),
        FileReceipt.fromJson(fields.object("state")),
        Fields.objects(fields, "extra").stream().map(FileReceipt::fromJson).toList(),
        fields.object("provenance"),
        Fields.instant(fields, "sealed"),
        fields.real("stall_ms"));
  }
}
