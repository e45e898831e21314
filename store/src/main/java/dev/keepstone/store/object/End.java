package dev.keepstone.store.object;

import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.reference.CheckpointId;

/// `tombs/<id>.<k>.end.json`: what became of a tomb. The first one put decides, whoever puts it.
///
/// @param uid the run's
/// @param id the checkpoint
/// @param k the tomb that it ends
/// @param outcome deleted or spared
public record End(String uid, CheckpointId id, int k, Outcome outcome) {
  private static final String KIND = "end";

  /// What a tomb comes to.
  public enum Outcome {
    /// Nobody needed it: it is gone for ever, whatever of it still lies there.
    PURGED("purged"),
    /// Somebody needed it: the tomb is as if it had never been.
    RESTORED("restored");

    private final String text;

    Outcome(String text) {
      this.text = text;
    }
  }

  public End {
    Fields.requireUid(uid);
    if (k < 1) {
      throw new IllegalArgumentException("a tomb counts from 1, found " + k);
    }
  }

  /// The object's bytes.
  public byte[] encode() {
    return StoreObject.encode(
        StoreObject.begin(KIND)
            .put("uid", uid)
            .put("id", id.toString())
            .put("k", k)
            .put("outcome", outcome.text)
            .build());
  }

  public static End decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes,
        KIND,
        describe,
        fields ->
            new End(
                fields.text("uid"),
                Fields.id(fields, "id"),
                Fields.count(fields, "k", 1),
                outcome(fields.text("outcome"))));
  }

  private static Outcome outcome(String text) {
    for (Outcome outcome : Outcome.values()) {
      if (outcome.text.equals(text)) {
        return outcome;
      }
    }
    throw new JsonException(
        "field \"outcome\": expected purged or restored, found \"" + text + "\"");
  }
}
