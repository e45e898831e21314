package dev.keepstone.store.object;

import dev.keepstone.store.reference.CheckpointId;
import java.time.Instant;

/// `starts/<n>.due-<k>.json`: the step that all ranks of a start are to save because somebody
/// asked. The first one put under a number decides, for every rank.
///
/// @param uid the run's
/// @param start whose ranks save
/// @param k counts what is due in this start, from 1
/// @param step steps done when it is saved
/// @param attempt which of the tries of one wish this is, from 1
/// @param why for people: `preemption`, `asked`
/// @param nonce of the agent that chose the step
/// @param created when, for people
public record Due(
    String uid,
    int start,
    int k,
    long step,
    int attempt,
    String why,
    String nonce,
    Instant created) {
  private static final String KIND = "due";

  public Due {
    Fields.requireUid(uid);
    Fields.requireNonce(nonce);
    if (start < 1 || k < 1 || attempt < 1) {
      throw new IllegalArgumentException(
          "starts, what is due and attempts count from 1, found "
              + start
              + ", "
              + k
              + ", "
              + attempt);
    }
    if (step < 0 || step > CheckpointId.MAX_STEP) {
      throw new IllegalArgumentException("not a step: " + step);
    }
  }

  /// The checkpoint that comes of it.
  public CheckpointId id() {
    return new CheckpointId(start, step);
  }

  /// The object's bytes.
  public byte[] encode() {
    return StoreObject.encode(
        StoreObject.begin(KIND)
            .put("uid", uid)
            .put("start", start)
            .put("k", k)
            .put("step", step)
            .put("attempt", attempt)
            .put("why", why)
            .put("nonce", nonce)
            .put("created", created.toString())
            .build());
  }

  public static Due decode(byte[] bytes, String describe) {
    return StoreObject.decode(
        bytes,
        KIND,
        describe,
        fields ->
            new Due(
                fields.text("uid"),
                Fields.count(fields, "start", 1),
                Fields.count(fields, "k", 1),
                Fields.range(fields, "step", 0, CheckpointId.MAX_STEP),
                Fields.count(fields, "attempt", 1),
                fields.text("why"),
                fields.text("nonce"),
                Fields.instant(fields, "created")));
  }
}
