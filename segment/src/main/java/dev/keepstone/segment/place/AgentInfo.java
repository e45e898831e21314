package dev.keepstone.segment.place;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import java.time.DateTimeException;
import java.time.Instant;

/// What `agent.json` tells about the living agent.
///
/// @param pid in the agent's own PID namespace
/// @param nonce of this start of the agent
/// @param outlives whose end it survives
public record AgentInfo(
    long pid, String nonce, Instant started, String version, Outlives outlives) {
  public Json.Obj toJson() {
    return Json.object()
        .put("pid", pid)
        .put("nonce", nonce)
        .put("started", started.toString())
        .put("version", version)
        .put("outlives", outlives.word())
        .build();
  }

  /// @throws JsonException where a field is missing or of another form
  public static AgentInfo read(Json.Obj json) {
    try {
      return new AgentInfo(
          json.integer("pid"),
          json.text("nonce"),
          Instant.parse(json.text("started")),
          json.text("version"),
          Outlives.of(json.text("outlives")));
    } catch (DateTimeException | IllegalArgumentException e) {
      throw new JsonException("agent.json: " + e.getMessage(), e);
    }
  }
}
