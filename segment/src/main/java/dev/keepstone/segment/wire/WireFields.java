package dev.keepstone.segment.wire;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.layout.RegisteredPiece;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Fields that several verbs share, with their ranges.
final class WireFields {
  static final int MAX_SLOTS = 16;
  private static final long MAX_STEP = (1L << 53) - 1;

  private WireFields() {}

  static Json orNull(@Nullable Long value) {
    return value == null ? Json.NULL : Json.of(value.longValue());
  }

  static @Nullable String textOrNull(Json.Obj frame, String name) {
    return frame.has(name) ? frame.text(name) : null;
  }

  static long atLeast(Json.Obj frame, String name, long least) {
    long value = frame.integer(name);
    if (value < least) {
      throw new JsonException(
          "field \"" + name + "\": expected at least " + least + ", found " + value);
    }
    return value;
  }

  static int within(Json.Obj frame, String name, int least, int most) {
    return (int) within(frame, name, (long) least, (long) most);
  }

  static long step(Json.Obj frame, String name) {
    return within(frame, name, 0L, MAX_STEP);
  }

  private static long within(Json.Obj frame, String name, long least, long most) {
    long value = frame.integer(name);
    if (value < least || value > most) {
      throw new JsonException(
          "field \"" + name + "\": expected " + least + " to " + most + ", found " + value);
    }
    return value;
  }

  static Json.Obj object(Json value, String where) {
    if (value instanceof Json.Obj object) {
      return object;
    }
    throw new JsonException(where + ": expected an object");
  }

  static List<Long> integers(Json.Obj frame, String name) {
    return frame.array(name).stream()
        .map(value -> value instanceof Json.Int(long number) ? number : notInteger(name))
        .toList();
  }

  private static long notInteger(String name) {
    throw new JsonException("field \"" + name + "\": expected integers");
  }

  /// Offset and extent are written for parts of tensors only, `frozen` where it is true.
  static Json.Obj piece(RegisteredPiece registered) {
    Piece piece = registered.piece();
    Json.Builder json = tensor(registered.component(), piece.tensor());
    if (!piece.isWhole()) {
      slice(json, piece.slice());
    }
    if (registered.frozen()) {
      json.put("frozen", true);
    }
    return json.build();
  }

  static Json.Builder tensor(String component, Tensor tensor) {
    return Json.object()
        .put("component", component)
        .put("name", tensor.name())
        .put("dtype", tensor.dtype().name())
        .put("shape", Json.integers(tensor.shape().extents()));
  }

  static Json.Builder slice(Json.Builder json, Slice slice) {
    return json.put("offset", Json.integers(slice.offset()))
        .put("extent", Json.integers(slice.extent().extents()));
  }

  /// Name, dtype and shape.
  static Tensor readTensor(Json.Obj json) {
    String dtype = json.text("dtype");
    return new Tensor(
        json.text("name"),
        Dtype.named(dtype).orElseThrow(() -> new JsonException("unknown dtype \"" + dtype + "\"")),
        new Shape(integers(json, "shape")));
  }

  /// Offset and extent.
  static Slice readSlice(Json.Obj json) {
    return new Slice(integers(json, "offset"), new Shape(integers(json, "extent")));
  }

  static RegisteredPiece readPiece(Json value, String where) {
    Json.Obj json = object(value, where);
    try {
      Tensor tensor = readTensor(json);
      Slice slice =
          json.has("offset") || json.has("extent") ? readSlice(json) : Slice.whole(tensor.shape());
      boolean frozen = json.has("frozen") && json.bool("frozen");
      return new RegisteredPiece(json.text("component"), new Piece(tensor, slice), frozen);
    } catch (JsonException | IllegalArgumentException e) {
      String name = json.get("name") instanceof Json.Text(String text) ? " \"" + text + "\"" : "";
      throw new JsonException(where + name + ": " + e.getMessage(), e);
    }
  }
}
