package dev.keepstone.store.object;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.reference.CheckpointId;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/// `starts/<n>.json`: one start of the trainer is announced.
///
/// @param uid the run's
/// @param number its incarnation, from 1
/// @param token the same for all ranks of one launch, new for every launch
/// @param world ranks of that launch
/// @param wanted which parent it wants
/// @param created when, for people
/// @param nonce the start of the agent that put it; null where no agent did. Ranks that read
///   different ones do not see one store
public record Start(
    String uid,
    int number,
    String token,
    int world,
    Wanted wanted,
    Instant created,
    @Nullable String nonce) {
  private static final String KIND = "start";

  public Start {
    Fields.requireUid(uid);
    if (number < 1 || world < 1) {
      throw new IllegalArgumentException(
          "start and world count from 1, found start " + number + " and world " + world);
    }
    if (token.isEmpty()) {
      throw new IllegalArgumentException("a start's token is not empty");
    }
    if (nonce != null) {
      Fields.requireNonce(nonce);
    }
  }

  /// Which parent a start wants, before it is decided.
  public sealed interface Wanted {
    /// The latest checkpoint, or none where there is none.
    record Latest() implements Wanted {}

    /// The latest checkpoint; a start that finds none counts for nothing.
    record Must() implements Wanted {}

    /// None.
    record Fresh() implements Wanted {}

    /// This one; a start that cannot have it counts for nothing.
    record Of(CheckpointId id) implements Wanted {}

    Wanted LATEST = new Latest();
    Wanted MUST = new Must();
    Wanted FRESH = new Fresh();

    /// How it stands in the object.
    default String text() {
      return switch (this) {
        case Latest() -> "latest";
        case Must() -> "must";
        case Fresh() -> "fresh";
        case Of(CheckpointId id) -> id.toString();
      };
    }

    /// @throws JsonException where the text is none of the words and no id
    static Wanted parse(String text) {
      return switch (text) {
        case "latest" -> LATEST;
        case "must" -> MUST;
        case "fresh" -> FRESH;
        default ->
            CheckpointId.find(text)
                .<Wanted>map(Of::new)
                .orElseThrow(() ->
                    new JsonException(
                        "wanted: expected latest, must, fresh or an id, found \"" + text + "\""));
      };
    }
  }

  /// The object's bytes.
  public byte[] encode() {
    Json.Builder fields =
        StoreObject.begin(KIND)
            .put("uid", uid)
            .put("start", number)
            .put("token", token)
            .put("world", world)
            .put("wanted", wanted.text())
            .put("created", created.toString());
    if (nonce != null) {
      fields.put("nonce", nonce);
    }
    return StoreObject.encode(fields.build());
  }

  public static Start decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes,
        KIND,
        describe,
        fields ->
            new Start(
                fields.text("uid"),
                Fields.count(fields, "start", 1),
                fields.text("token"),
                Fields.count(fields, "world", 1),
                Wanted.parse(fields.text("wanted")),
                Fields.instant(fields, "created"),
                fields.has("nonce") ? fields.text("nonce") : null));
  }
}
