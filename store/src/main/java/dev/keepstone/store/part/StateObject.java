package dev.keepstone.store.part;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.object.Fields;
import dev.keepstone.store.object.StoreObject;
import dev.keepstone.store.reference.CheckpointId;

/// `state-<rank>.<nonce>.json`: everything of one rank that is not a tensor.
///
/// @param uid the run's
/// @param id the checkpoint
/// @param rank whose, from 0
/// @param tree the registered document with its holes filled: `state`, the trainer's own, and
///   `keepstone`, the client's; in state-tree form (docs/spec/state-tree.md)
public record StateObject(String uid, CheckpointId id, int rank, Json.Obj tree) {
  private static final String KIND = "state";

  public StateObject {
    Fields.requireUid(uid);
    if (rank < 0) {
      throw new IllegalArgumentException("a rank counts from 0, found " + rank);
    }
  }

  /// The object's bytes.
  public byte[] encode() {
    return StoreObject.encode(
        StoreObject.begin(KIND)
            .put("uid", uid)
            .put("id", id.toString())
            .put("rank", rank)
            .put("tree", tree)
            .build());
  }

  /// @param describe the object's name, for messages
  public static StateObject decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes,
        KIND,
        describe,
        fields ->
            new StateObject(
                fields.text("uid"),
                Fields.id(fields, "id"),
                Fields.count(fields, "rank", 0),
                fields.object("tree")));
  }
}
