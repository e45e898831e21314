package dev.keepstone.segment.wire;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.reshard.Wanted;
import dev.keepstone.core.tensor.Slice;
import java.util.List;

/// `open`, `want` and `next` as JSON, exactly as docs/spec/wire.md has them.
final class RestoreCodec {
  private RestoreCodec() {}

  static Json wanted(Wanted wanted) {
    Json.Builder json = Json.object().put("tensor", wanted.tensor());
    List<Slice> slices = wanted.slices();
    if (slices != null) {
      json.put(
          "slices",
          Json.array(
              slices.stream()
                  .map(slice -> WireFields.slice(Json.object(), slice).build())
                  .toList()));
    }
    return json.build();
  }

  static Wanted readWanted(Json value) {
    Json.Obj json = WireFields.object(value, "tensors");
    int tensor = WireFields.within(json, "tensor", 0, Integer.MAX_VALUE);
    return json.has("slices")
        ? new Wanted(
            tensor,
            json.array("slices").stream()
                .map(slice -> WireFields.readSlice(WireFields.object(slice, "slices")))
                .toList())
        : Wanted.whole(tensor);
  }

  static void open(Json.Builder frame, Answer.Open open) {
    frame
        .put("id", open.id())
        .put("step", open.step())
        .put("world", open.world())
        .put("metrics", open.metrics())
        .put("rank", open.rank())
        .put("tensors", Json.array(open.tensors().stream().map(RestoreCodec::tensor).toList()))
        .put("state", open.state());
    if (!open.others().isEmpty()) {
      frame.put("others", Json.array(open.others()));
    }
  }

  private static Json tensor(Answer.OpenedTensor opened) {
    return WireFields.tensor(opened.component(), opened.tensor()).build();
  }

  static Answer.Open open(Json.Obj frame) {
    AnswerCodec.good(frame);
    return new Answer.Open(
        frame.text("id"),
        WireFields.step(frame, "step"),
        WireFields.within(frame, "world", 1, Integer.MAX_VALUE),
        frame.object("metrics"),
        WireFields.within(frame, "rank", 0, Integer.MAX_VALUE),
        frame.array("tensors").stream().map(RestoreCodec::readTensor).toList(),
        frame.object("state"),
        frame.has("others") ? frame.array("others") : List.of());
  }

  private static Answer.OpenedTensor readTensor(Json value) {
    Json.Obj json = WireFields.object(value, "tensors");
    return new Answer.OpenedTensor(json.text("component"), WireFields.readTensor(json));
  }

  static void want(Json.Builder frame, Answer.Want want) {
    frame
        .put("sources", Json.array(want.sources().stream().map(RestoreCodec::source).toList()))
        .put("pieces", Json.array(want.pieces().stream().map(RestoreCodec::piece).toList()))
        .put("total", want.total());
    Answer.Window window = want.window();
    if (window != null) {
      frame.put(
          "window",
          Json.object()
              .put("file", window.file())
              .put("bytes", window.byteLength())
              .put("chunk", window.chunk())
              .build());
    }
  }

  private static Json source(Answer.Source source) {
    return Json.object().put("segment", source.segment()).put("slot_at", source.slotAt()).build();
  }

  private static Json piece(Answer.SavedPiece piece) {
    Json.Builder json =
        WireFields.slice(Json.object().put("tensor", piece.tensor()), piece.slice())
            .put("bytes", piece.byteLength());
    Integer source = piece.source();
    if (source != null) {
      json.put("source", source);
    }
    return json.put("at", piece.at()).build();
  }

  static Answer.Want want(Json.Obj frame) {
    AnswerCodec.good(frame);
    List<Answer.Source> sources =
        frame.array("sources").stream()
            .map(value -> WireFields.object(value, "sources"))
            .map(source ->
                new Answer.Source(source.text("segment"), WireFields.atLeast(source, "slot_at", 0)))
            .toList();
    return new Answer.Want(
        sources,
        frame.array("pieces").stream().map(value -> readPiece(value, sources.size())).toList(),
        WireFields.atLeast(frame, "total", 0),
        frame.has("window") ? window(frame.object("window")) : null);
  }

  private static Answer.SavedPiece readPiece(Json value, int sources) {
    Json.Obj json = WireFields.object(value, "pieces");
    return new Answer.SavedPiece(
        WireFields.within(json, "tensor", 0, Integer.MAX_VALUE),
        WireFields.readSlice(json),
        WireFields.atLeast(json, "bytes", 0),
        json.has("source") ? WireFields.within(json, "source", 0, sources - 1) : null,
        WireFields.atLeast(json, "at", 0));
  }

  private static Answer.Window window(Json.Obj json) {
    return new Answer.Window(
        json.text("file"),
        WireFields.atLeast(json, "bytes", 0),
        WireFields.atLeast(json, "chunk", 1));
  }

  static Json.Obj chunk(Answer.Chunk chunk) {
    return Json.object()
        .put("at", chunk.at())
        .put("bytes", chunk.byteLength())
        .put("in", chunk.in())
        .build();
  }

  static Answer.Next next(Json.Obj frame) {
    AnswerCodec.good(frame);
    return new Answer.Next(
        frame.array("chunks").stream()
            .map(value -> WireFields.object(value, "chunks"))
            .map(chunk ->
                new Answer.Chunk(
                    WireFields.atLeast(chunk, "at", 0),
                    WireFields.atLeast(chunk, "bytes", 0),
                    WireFields.atLeast(chunk, "in", 0)))
            .toList(),
        frame.bool("end"));
  }
}
