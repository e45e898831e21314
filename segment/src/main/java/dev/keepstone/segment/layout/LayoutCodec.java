package dev.keepstone.segment.layout;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import java.util.List;

/// A layout as JSON, exactly as docs/spec/segment.md section 4 has it.
public final class LayoutCodec {
  private static final int VERSION = 1;

  private LayoutCodec() {}

  public static Json.Obj toJson(Layout layout) {
    LayoutOwner owner = layout.owner();
    return Json.object()
        .put("v", VERSION)
        .put("kind", "layout")
        .put("store", owner.store())
        .put("run", owner.run())
        .put("uid", owner.uid())
        .put("start", owner.start())
        .put("rank", owner.rank())
        .put("world", owner.world())
        .put("client", owner.client())
        .put("layout", owner.layout())
        .put("policy", owner.policy())
        .put("state_capacity", layout.stateCapacity())
        .put("shards", Json.array(layout.shards().stream().map(LayoutCodec::shard).toList()))
        .put("pieces", Json.array(layout.pieces(), LayoutCodec::piece))
        .put("state", layout.state())
        .put("configs", layout.configs())
        .put("provenance", layout.provenance())
        .build();
  }

  private static Json.Obj shard(ShardPlace shard) {
    Json.Builder fields = Json.object().put("component", shard.component());
    if (shard.group() > 0) {
      fields.put("group", shard.group());
    }
    if (shard.constant()) {
      fields.put("constant", true);
    }
    return fields
        .put("whole", shard.whole())
        .put("offset", shard.offset())
        .put("bytes", shard.byteLength())
        .put("header", shard.headerBytes())
        .build();
  }

  private static Json.Obj piece(PiecePlace place) {
    Tensor tensor = place.piece().tensor();
    Slice slice = place.piece().slice();
    return Json.object()
        .put("shard", place.shard())
        .put("name", tensor.name())
        .put("dtype", tensor.dtype().name())
        .put("shape", Json.integers(tensor.shape().extents()))
        .put("offset", Json.integers(slice.offset()))
        .put("extent", Json.integers(slice.extent().extents()))
        .put("at", place.at())
        .put("bytes", place.piece().byteLength())
        .build();
  }

  /// @throws JsonException where a field is missing, or the layout is not sound
  public static Layout read(Json.Obj json) {
    if (json.integer("v") != VERSION || !json.text("kind").equals("layout")) {
      throw new JsonException("expected a layout of version " + VERSION);
    }
    try {
      return new Layout(
          owner(json),
          json.integer("state_capacity"),
          json.array("shards").stream().map(value -> readShard(object(value))).toList(),
          json.array("pieces").stream().map(value -> readPiece(object(value))).toList(),
          json.object("state"),
          json.object("configs"),
          json.object("provenance"));
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw new JsonException(String.valueOf(e.getMessage()), e);
    }
  }

  private static LayoutOwner owner(Json.Obj json) {
    return new LayoutOwner(
        json.text("store"),
        json.text("run"),
        json.text("uid"),
        Math.toIntExact(json.integer("start")),
        Math.toIntExact(json.integer("rank")),
        Math.toIntExact(json.integer("world")),
        json.text("client"),
        Math.toIntExact(json.integer("layout")),
        json.object("policy"));
  }

  private static ShardPlace readShard(Json.Obj json) {
    return new ShardPlace(
        json.text("component"),
        json.has("group") ? Math.toIntExact(json.integer("group")) : 0,
        json.has("constant") && json.bool("constant"),
        json.bool("whole"),
        json.integer("offset"),
        json.integer("bytes"),
        json.integer("header"));
  }

  private static PiecePlace readPiece(Json.Obj json) {
    String dtype = json.text("dtype");
    Tensor tensor =
        new Tensor(
            json.text("name"),
            Dtype.named(dtype)
                .orElseThrow(() -> new JsonException("unknown dtype \"" + dtype + "\"")),
            new Shape(integers(json, "shape")));
    Slice slice = new Slice(integers(json, "offset"), new Shape(integers(json, "extent")));
    PiecePlace place =
        new PiecePlace(
            Math.toIntExact(json.integer("shard")), new Piece(tensor, slice), json.integer("at"));
    if (json.integer("bytes") != place.piece().byteLength()) {
      throw new JsonException(
          "piece of "
              + tensor.name()
              + ": expected "
              + place.piece().byteLength()
              + " bytes, found "
              + json.integer("bytes"));
    }
    return place;
  }

  private static List<Long> integers(Json.Obj json, String name) {
    return json.array(name).stream()
        .map(value -> {
          if (value instanceof Json.Int(long number)) {
            return number;
          }
          throw new JsonException("field \"" + name + "\": expected integers");
        })
        .toList();
  }

  private static Json.Obj object(Json value) {
    if (value instanceof Json.Obj object) {
      return object;
    }
    throw new JsonException("expected a list of objects");
  }
}
