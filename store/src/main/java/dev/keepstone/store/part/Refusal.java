package dev.keepstone.store.part;

import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.object.Fields;
import dev.keepstone.store.object.StoreObject;
import dev.keepstone.store.reference.CheckpointId;

/// One rank did not store its part; that ends the attempt for all ranks at once.
///
/// @param detail for people
public record Refusal(
    String uid, CheckpointId id, int rank, int world, String nonce, Why why, String detail)
    implements PartRecord {
  static final String KIND = "refusal";

  public Refusal {
    Ranks.require(uid, nonce, rank, world);
  }

  /// Why a part was not stored.
  public enum Why {
    SKIPPED("skipped"),
    NO_MEMORY("no-memory"),
    NO_SPACE("no-space"),
    FAILED("failed"),
    /// The trainer died before it sealed.
    DIED("died"),
    TIMEOUT("timeout");

    private final String text;

    Why(String text) {
      this.text = text;
    }

    /// How it stands in the object and on the wire.
    public String text() {
      return text;
    }

    /// @throws JsonException where the text is none of them
    public static Why parse(String text) {
      for (Why why : values()) {
        if (why.text.equals(text)) {
          return why;
        }
      }
      throw new JsonException(
          "why: expected skipped, no-memory, no-space, failed, died or timeout, found \""
              + text
              + "\"");
    }
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
            .put("why", why.text)
            .put("detail", detail)
            .build());
  }

  public static Refusal decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes,
        KIND,
        describe,
        fields ->
            new Refusal(
                fields.text("uid"),
                Fields.id(fields, "id"),
                Fields.count(fields, "rank", 0),
                Fields.count(fields, "world", 1),
                fields.text("nonce"),
                Why.parse(fields.text("why")),
                fields.text("detail")));
  }
}
