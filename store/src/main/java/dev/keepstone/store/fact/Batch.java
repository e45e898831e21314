package dev.keepstone.store.fact;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.object.Fields;
import dev.keepstone.store.object.Names.BatchName;
import dev.keepstone.store.object.StoreObject;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/// `facts/<writer>.<sequence>.json`: facts that one process wrote at one moment.
///
/// @param uid the run's
/// @param name whose, and which of its batches
/// @param at the hybrid time ([Stamp])
/// @param by the writer, for people
/// @param facts in order, 1 to [#MOST_FACTS]
public record Batch(String uid, BatchName name, Instant at, String by, List<Fact> facts) {
  /// How many facts one batch holds at most.
  public static final int MOST_FACTS = 1000;

  /// How large one may be: enough for a thousand facts of the longest words.
  public static final long MAX_BYTES = 8L << 20;

  private static final String KIND = "facts";

  public Batch {
    Fields.requireUid(uid);
    FactLimits.requireText("by", by);
    facts = List.copyOf(facts);
    if (facts.isEmpty() || facts.size() > MOST_FACTS) {
      throw new IllegalArgumentException(
          "expected 1 to " + MOST_FACTS + " facts, found " + facts.size());
    }
  }

  /// Its facts, each with its stamp.
  public List<Stamped<?>> stamped() {
    List<Stamped<?>> stamped = new ArrayList<>(facts.size());
    for (Fact fact : facts) {
      Stamp stamp = new Stamp(at, name.writer(), name.sequence(), stamped.size());
      stamped.add(new Stamped<>(stamp, by, fact));
    }
    return stamped;
  }

  /// The object's bytes.
  public byte[] encode() {
    return StoreObject.encode(
        StoreObject.begin(KIND)
            .put("uid", uid)
            .put("writer", name.writer())
            .put("sequence", name.sequence())
            .put("at", at.toString())
            .put("by", by)
            .put("facts", Json.array(facts.stream().map(Fact::toJson).toList()))
            .build());
  }

  /// @param describe the object's name, for messages
  public static Batch decode(byte[] bytes, String describe) {
    if (bytes.length > MAX_BYTES) {
      throw new KeepstoneException.Integrity(
          "expected at most " + MAX_BYTES + " bytes, found " + bytes.length,
          describe,
          "bring back a good copy of this file");
    }
    return StoreObject.decode(bytes, KIND, describe, Batch::fromJson);
  }

  private static Batch fromJson(Json.Obj fields) {
    List<Json> facts = fields.array("facts");
    if (facts.size() > MOST_FACTS) {
      throw new JsonException("expected at most " + MOST_FACTS + " facts, found " + facts.size());
    }
    return new Batch(
        fields.text("uid"),
        new BatchName(fields.text("writer"), fields.integer("sequence")),
        Stamp.requireTime(Fields.instant(fields, "at")),
        fields.text("by"),
        Fields.objects(fields, "facts").stream().map(FactCodec::read).toList());
  }
}
