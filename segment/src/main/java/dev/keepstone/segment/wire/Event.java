package dev.keepstone.segment.wire;

import dev.keepstone.core.json.Json;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/// One frame of the stream that [Request.Events] asks for, and one line of `events.jsonl`.
///
/// @param sequence counts from 1 per start of the agent
/// @param name `sealed`, `committed`, …
/// @param detail its further fields, which depend on the name
public record Event(long sequence, Instant at, String name, Json.Obj detail) {
  public Json.Obj toJson() {
    Json.Builder frame =
        Json.object().put("seq", sequence).put("at", at.toString()).put("event", name);
    detail.fields().forEach(frame::put);
    return frame.build();
  }

  /// @throws dev.keepstone.core.json.JsonException where a field is missing
  public static Event read(Json.Obj frame) {
    Map<String, Json> detail = new LinkedHashMap<>(frame.fields());
    detail.keySet().removeAll(Set.of("seq", "at", "event"));
    return new Event(
        frame.integer("seq"),
        Instant.parse(frame.text("at")),
        frame.text("event"),
        new Json.Obj(detail));
  }
}
