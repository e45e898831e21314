package dev.keepstone.segment.wire;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.place.Outlives;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Answers as JSON, exactly as docs/spec/wire.md has them. They are read through
/// [Request#readAnswer].
public final class AnswerCodec {
  private AnswerCodec() {}

  /// The answer as a frame.
  public static Json.Obj toJson(Answer answer) {
    Json.Builder frame = Json.object().put("ok", true);
    switch (answer) {
      case Answer.Ok _ -> {}
      case Answer.Hello hello ->
          frame
              .put("v", RequestCodec.VERSION)
              .put("nonce", hello.nonce())
              .put("pid", hello.pid())
              .put("version", hello.version())
              .put("budget", hello.budget())
              .put("outlives", hello.outlives().word());
      case Answer.Start start ->
          frame
              .put("uid", start.uid())
              .put("start", start.start())
              .put("parent", start.parent())
              .put("step", WireFields.orNull(start.step()))
              .put("has_checkpoints", start.hasCheckpoints())
              .put(
                  "skipped",
                  Json.array(start.skipped().stream().map(AnswerCodec::skipped).toList()))
              .put("by", start.by());
      case Answer.Open open -> RestoreCodec.open(frame, open);
      case Answer.Want want -> RestoreCodec.want(frame, want);
      case Answer.Next(List<Answer.Chunk> chunks, boolean end) ->
          frame
              .put("chunks", Json.array(chunks.stream().map(RestoreCodec::chunk).toList()))
              .put("end", end);
      case Answer.Register register -> register(frame, register);
      case Answer.Preempt(long due, Double needsMs, Long graceMs) ->
          frame
              .put("due", due)
              .put("needs_ms", needsMs == null ? Json.NULL : Json.of(needsMs.doubleValue()))
              .put("grace_ms", WireFields.orNull(graceMs));
      case Answer.Report(String id) -> frame.put("id", id);
      case Answer.Lend(int slot, long generation) ->
          frame.put("slot", slot).put("generation", generation);
      case Answer.Sealed(String id, List<Ended> ended, boolean replan) ->
          frame.put("id", id).put("ended", EndedCodec.toJson(ended)).put("replan", replan);
      case Answer.Wait(List<Ended> ended) -> frame.put("ended", EndedCodec.toJson(ended));
      case Answer.Status status -> StatusCodec.write(frame, status);
      case Answer.Metrics(String text) -> frame.put("text", text);
      case Answer.Free(long freed, int kept) -> frame.put("freed", freed).put("kept", kept);
    }
    return frame.build();
  }

  private static Json.Obj skipped(Answer.Skipped skipped) {
    return Json.object().put("id", skipped.id()).put("why", skipped.why()).build();
  }

  private static void register(Json.Builder frame, Answer.Register register) {
    frame
        .put("layout", register.layout())
        .put("segment", register.segment())
        .put("file_bytes", register.fileBytes())
        .put("slots", register.slots())
        .put("slot_offset", register.slotOffset())
        .put("slot_stride", register.slotStride())
        .put("state_capacity", register.stateCapacity())
        .put("constant_offset", register.constantOffset())
        .put("at", Json.integers(register.at()))
        .put("bytes", register.byteLength())
        .put("free", register.free())
        .put("retained", register.retained());
  }

  /// Lets a good answer through and throws what an error frame tells.
  static Json.Obj good(Json.Obj frame) {
    if (frame.bool("ok")) {
      return frame;
    }
    throw WireError.read(frame.object("error"));
  }

  static Answer.Ok ok(Json.Obj frame) {
    good(frame);
    return new Answer.Ok();
  }

  static Answer.Hello hello(Json.Obj frame) {
    good(frame);
    long version = frame.integer("v");
    if (version != RequestCodec.VERSION) {
      throw new KeepstoneException.Unsupported(
          "the agent speaks protocol version " + version + ", this client " + RequestCodec.VERSION,
          "answer to \"hello\"",
          "use a client and an agent of one version");
    }
    return new Answer.Hello(
        frame.text("nonce"),
        frame.integer("pid"),
        frame.text("version"),
        frame.integer("budget"),
        Outlives.of(frame.text("outlives")));
  }

  static Answer.Start start(Json.Obj frame) {
    good(frame);
    return new Answer.Start(
        frame.text("uid"),
        WireFields.within(frame, "start", 1, Integer.MAX_VALUE),
        WireFields.textOrNull(frame, "parent"),
        stepOrNull(frame, "step"),
        frame.bool("has_checkpoints"),
        frame.array("skipped").stream()
            .map(value -> WireFields.object(value, "skipped"))
            .map(skipped -> new Answer.Skipped(skipped.text("id"), skipped.text("why")))
            .toList(),
        WireFields.textOrNull(frame, "by"));
  }

  static Answer.Register register(Json.Obj frame) {
    good(frame);
    return new Answer.Register(
        WireFields.within(frame, "layout", 1, Integer.MAX_VALUE),
        frame.text("segment"),
        WireFields.atLeast(frame, "file_bytes", 0),
        WireFields.within(frame, "slots", 2, WireFields.MAX_SLOTS),
        WireFields.atLeast(frame, "slot_offset", 0),
        WireFields.atLeast(frame, "slot_stride", 0),
        WireFields.atLeast(frame, "state_capacity", 0),
        WireFields.atLeast(frame, "constant_offset", 0),
        WireFields.integers(frame, "at"),
        WireFields.atLeast(frame, "bytes", 0),
        WireFields.atLeast(frame, "free", 0),
        WireFields.atLeast(frame, "retained", 0));
  }

  static Answer.Preempt preempt(Json.Obj frame) {
    good(frame);
    return new Answer.Preempt(
        WireFields.step(frame, "due"),
        frame.has("needs_ms") ? frame.real("needs_ms") : null,
        frame.has("grace_ms") ? WireFields.atLeast(frame, "grace_ms", 0) : null);
  }

  static Answer.Report report(Json.Obj frame) {
    good(frame);
    return new Answer.Report(frame.text("id"));
  }

  static Answer.Lend lend(Json.Obj frame) {
    good(frame);
    return new Answer.Lend(
        WireFields.within(frame, "slot", 0, WireFields.MAX_SLOTS - 1),
        WireFields.atLeast(frame, "generation", 1));
  }

  static Answer.Sealed sealed(Json.Obj frame) {
    good(frame);
    return new Answer.Sealed(
        frame.text("id"), EndedCodec.read(frame.array("ended")), frame.bool("replan"));
  }

  static Answer.Wait waited(Json.Obj frame) {
    good(frame);
    return new Answer.Wait(EndedCodec.read(frame.array("ended")));
  }

  static Answer.Status status(Json.Obj frame) {
    return StatusCodec.read(good(frame));
  }

  static Answer.Metrics metrics(Json.Obj frame) {
    return new Answer.Metrics(good(frame).text("text"));
  }

  static Answer.Free free(Json.Obj frame) {
    good(frame);
    return new Answer.Free(
        WireFields.atLeast(frame, "freed", 0),
        WireFields.within(frame, "kept", 0, Integer.MAX_VALUE));
  }

  private static @Nullable Long stepOrNull(Json.Obj frame, String name) {
    return frame.has(name) ? WireFields.step(frame, name) : null;
  }
}
