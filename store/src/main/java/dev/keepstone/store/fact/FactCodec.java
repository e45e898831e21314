package dev.keepstone.store.fact;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.object.Fields;
import dev.keepstone.store.reference.CheckpointId;
import java.util.Map;
import java.util.Optional;

/// Facts as they stand in batches and snapshots: `{"fact":"pin","id":"1-40",…}`.
final class FactCodec {
  private FactCodec() {}

  static Json.Builder toJson(Fact fact) {
    return switch (fact) {
      case Fact.Metrics(CheckpointId id, Json.Obj metrics) ->
          begin("metrics", id).put("metrics", metrics);
      case Fact.Durable(CheckpointId id, double ms) -> begin("durable", id).put("ms", ms);
      case Fact.Pin(CheckpointId id, boolean pinned, String why) ->
          begin("pin", id).put("pinned", pinned).put("why", why);
      case Fact.Tag(String tag, Optional<CheckpointId> id) ->
          Json.object()
              .put("fact", "tag")
              .put("tag", tag)
              .put("id", id.map(CheckpointId::toString).orElse(null));
      case Fact.Note(CheckpointId id, String text) -> begin("note", id).put("text", text);
      case Fact.Verdict(CheckpointId id, boolean deep, boolean good, String detail) ->
          begin("verdict", id).put("deep", deep).put("good", good).put("detail", detail);
      case Fact.Deleted(CheckpointId id, int k, Fact.Act act, String why, String by) ->
          begin("deleted", id).put("k", k).put("act", act.text()).put("why", why).put("by", by);
      case Fact.Policy(Json.Obj rules) -> Json.object().put("fact", "policy").put("rules", rules);
    };
  }

  private static Json.Builder begin(String fact, CheckpointId id) {
    return Json.object().put("fact", fact).put("id", id.toString());
  }

  /// @throws JsonException or IllegalArgumentException where it is none, or one of a kind that only
  ///   a later Keepstone knows: passing over it, the next snapshot would lose it
  static Fact read(Json.Obj json) {
    return switch (json.text("fact")) {
      case "metrics" -> new Fact.Metrics(id(json), json.object("metrics"));
      case "durable" -> new Fact.Durable(id(json), json.real("ms"));
      case "pin" -> new Fact.Pin(id(json), json.bool("pinned"), json.text("why"));
      case "tag" ->
          new Fact.Tag(json.text("tag"), json.has("id") ? Optional.of(id(json)) : Optional.empty());
      case "note" -> new Fact.Note(id(json), json.text("text"));
      case "verdict" ->
          new Fact.Verdict(id(json), json.bool("deep"), json.bool("good"), json.text("detail"));
      case "deleted" ->
          new Fact.Deleted(
              id(json),
              Fields.count(json, "k", 1),
              act(json.text("act")),
              json.text("why"),
              json.text("by"));
      case "policy" -> new Fact.Policy(json.object("rules"));
      default ->
          throw new JsonException(
              "expected a fact, found \""
                  + json.text("fact")
                  + "\", which this Keepstone does not know");
    };
  }

  /// What a fact says whatever checkpoint it is about, and of a number not its value.
  static Json.Obj said(Fact fact) {
    if (fact instanceof Fact.Metrics metrics) {
      return Json.object()
          .put("fact", "metrics")
          .put("metric", only(metrics.metrics()).getKey())
          .build();
    }
    Json.Builder said = Json.object();
    fact.toJson()
        .fields()
        .forEach((name, value) -> {
          if (!name.equals("id") && !name.equals("ms")) {
            said.put(name, value);
          }
        });
    return said.build();
  }

  /// [#said], as if it were said of one checkpoint, with 0 for its value.
  static Fact readSaid(Json.Obj said, CheckpointId id) {
    if (said.text("fact").equals("metrics")) {
      return new Fact.Metrics(id, Json.object().put(said.text("metric"), 0).build());
    }
    Json.Builder json = Json.object().put("id", id.toString()).put("ms", 0);
    said.fields().forEach(json::put);
    return read(json.build());
  }

  /// The one metric of a fact as [Facts] has it.
  static Map.Entry<String, Json> only(Json.Obj metrics) {
    if (metrics.fields().size() != 1) {
      throw new IllegalArgumentException(
          "expected one metric a fact, found " + metrics.fields().size());
    }
    return metrics.fields().entrySet().iterator().next();
  }

  private static CheckpointId id(Json.Obj json) {
    return Fields.id(json, "id");
  }

  private static Fact.Act act(String text) {
    for (Fact.Act act : Fact.Act.values()) {
      if (act.text().equals(text)) {
        return act;
      }
    }
    throw new JsonException(
        "field \"act\": expected announced, restored or purged, found \"" + text + "\"");
  }
}
