package dev.keepstone.store.object;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.reference.CheckpointId;

/// `starts/<n>.parent.json`: which checkpoint a start goes on from. The first one put decides, for
/// every rank.
///
/// @param uid the run's
/// @param start the start it decides
/// @param parent what it goes on from
public record Decision(String uid, int start, Parent parent) {
  private static final String KIND = "parent";
  private static final String VOID = "void";

  public Decision {
    Fields.requireUid(uid);
    if (start < 1) {
      throw new IllegalArgumentException("a start counts from 1, found " + start);
    }
  }

  /// What a start goes on from.
  public sealed interface Parent {
    /// This checkpoint, of an earlier start.
    record Of(CheckpointId id) implements Parent {}

    /// Nothing: the first start of a line.
    record Fresh() implements Parent {}

    /// The wanted parent is purged or missing; the start counts for nothing.
    record Void() implements Parent {}
  }

  /// The object's bytes.
  public byte[] encode() {
    return StoreObject.encode(
        StoreObject.begin(KIND)
            .put("uid", uid)
            .put("start", start)
            .put(
                "parent",
                switch (parent) {
                  case Parent.Of(CheckpointId id) -> Json.of(id.toString());
                  case Parent.Fresh() -> Json.NULL;
                  case Parent.Void() -> Json.of(VOID);
                })
            .build());
  }

  public static Decision decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes,
        KIND,
        describe,
        fields ->
            new Decision(fields.text("uid"), Fields.count(fields, "start", 1), parent(fields)));
  }

  private static Parent parent(Json.Obj fields) {
    if (fields.get("parent") instanceof Json.Null) {
      return new Parent.Fresh();
    }
    if (fields.text("parent").equals(VOID)) {
      return new Parent.Void();
    }
    CheckpointId id = Fields.id(fields, "parent");
    if (id.start() >= fields.integer("start")) {
      // A parent of its own or of a later start would make the line a circle.
      throw new JsonException(
          "field \"parent\": expected a checkpoint of an earlier start, found " + id);
    }
    return new Parent.Of(id);
  }
}
