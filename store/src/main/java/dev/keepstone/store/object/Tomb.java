package dev.keepstone.store.object;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.reference.CheckpointId;
import java.time.Duration;
import java.time.Instant;

/// `tombs/<id>.<k>.json`: the announced wish to delete a checkpoint. It hides nothing.
///
/// @param uid the run's
/// @param id the checkpoint
/// @param k the how-manieth tomb of that id, from 1
/// @param grace how long its author waits before it looks for needs
/// @param wish whose wish it is, and by what the need is judged
/// @param why the reason, for people
/// @param by the author's nonce
/// @param created when, for people: the grace is measured by who waits, never from this
public record Tomb(
    String uid,
    CheckpointId id,
    int k,
    Duration grace,
    Wish wish,
    String why,
    String by,
    Instant created) {
  private static final String KIND = "tomb";

  public Tomb {
    Fields.requireUid(uid);
    if (k < 1 || grace.isNegative()) {
      throw new IllegalArgumentException(
          "a tomb counts from 1 and its grace is not negative, found " + k + " and " + grace);
    }
  }

  /// The object's bytes.
  public byte[] encode() {
    Json.Builder fields =
        StoreObject.begin(KIND)
            .put("uid", uid)
            .put("id", id.toString())
            .put("k", k)
            .put("grace_ms", grace.toMillis());
    return StoreObject.encode(
        Wish.write(fields, wish)
            .put("why", why)
            .put("by", by)
            .put("created", created.toString())
            .build());
  }

  public static Tomb decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes,
        KIND,
        describe,
        fields ->
            new Tomb(
                fields.text("uid"),
                Fields.id(fields, "id"),
                Fields.count(fields, "k", 1),
                Duration.ofMillis(Fields.bytes(fields, "grace_ms")),
                Wish.read(fields),
                fields.text("why"),
                fields.text("by"),
                Fields.instant(fields, "created")));
  }
}
