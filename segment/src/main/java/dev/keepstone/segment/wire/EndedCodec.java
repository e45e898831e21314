package dev.keepstone.segment.wire;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import java.util.List;

/// The list under `ended`.
final class EndedCodec {
  private EndedCodec() {}

  static Json.Array toJson(List<Ended> ended) {
    return Json.array(ended.stream().map(EndedCodec::toJson).toList());
  }

  private static Json.Obj toJson(Ended ended) {
    Json.Builder json = Json.object().put("id", ended.id());
    switch (ended) {
      case Ended.Committed committed ->
          json.put("state", "committed").put("durable_ms", committed.durableMs());
      case Ended.Failed failed ->
          json.put("state", "failed").put("error", WireError.toJson(failed.error()));
      case Ended.Fenced _ -> json.put("state", "fenced");
      case Ended.Unknown unknown -> {
        json.put("state", "unknown");
        if (unknown.error() != null) {
          json.put("error", WireError.toJson(unknown.error()));
        }
      }
    }
    return json.build();
  }

  static List<Ended> read(List<Json> values) {
    return values.stream().map(EndedCodec::read).toList();
  }

  private static Ended read(Json value) {
    Json.Obj json = WireFields.object(value, "ended");
    String id = json.text("id");
    String state = json.text("state");
    return switch (state) {
      case "committed" -> new Ended.Committed(id, json.real("durable_ms"));
      case "failed" -> new Ended.Failed(id, WireError.read(json.object("error")));
      case "fenced" -> new Ended.Fenced(id);
      case "unknown" ->
          new Ended.Unknown(id, json.has("error") ? WireError.read(json.object("error")) : null);
      default -> throw new JsonException("field \"state\": unknown end \"" + state + "\"");
    };
  }
}
