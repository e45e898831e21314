package dev.keepstone.segment.wire;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.place.Outlives;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// The answer to `status` as JSON.
final class StatusCodec {
  private StatusCodec() {}

  static void write(Json.Builder frame, Answer.Status status) {
    frame
        .put("pid", status.pid())
        .put("socket", status.socket())
        .put("outlives", status.outlives().word())
        .put("budget", status.budget())
        .put("used", status.used())
        .put("resident", status.resident())
        .put("free", status.free())
        .put("runs", all(status.runs(), StatusCodec::run))
        .put("segments", all(status.segments(), StatusCodec::segment));
  }

  static Answer.Status read(Json.Obj frame) {
    return new Answer.Status(
        frame.integer("pid"),
        frame.text("socket"),
        Outlives.of(frame.text("outlives")),
        frame.integer("budget"),
        frame.integer("used"),
        frame.integer("resident"),
        frame.integer("free"),
        all(frame, "runs", StatusCodec::readRun),
        all(frame, "segments", StatusCodec::readSegment));
  }

  private static <T> Json.Array all(List<T> values, Function<T, Json> one) {
    return Json.array(values.stream().map(one).toList());
  }

  private static <T> List<T> all(Json.Obj frame, String name, Function<Json.Obj, T> one) {
    return frame.array(name).stream()
        .map(value -> one.apply(WireFields.object(value, name)))
        .toList();
  }

  private static Json run(RunStatus run) {
    return Json.object()
        .put("store", run.store())
        .put("run", run.run())
        .put("start", run.start())
        .put("ranks", run.ranks())
        .put("last_sealed", WireFields.orNull(run.lastSealed()))
        .put("last_durable", WireFields.orNull(run.lastDurable()))
        .put("queue", run.queue())
        .put("failures", run.failures())
        .put("held", run.held())
        .put("limit_rate", WireFields.orNull(run.limitRate()))
        .put("gentle", run.gentle())
        .put("due", due(run.due()))
        .put("slowest", slowest(run.slowest()))
        .put("saves", all(run.saves(), StatusCodec::save))
        .put("held_up", all(run.heldUp(), StatusCodec::heldUp))
        .build();
  }

  private static RunStatus readRun(Json.Obj run) {
    return new RunStatus(
        run.text("store"),
        run.text("run"),
        // 0: known from `rate` or a restore alone.
        WireFields.within(run, "start", 0, Integer.MAX_VALUE),
        WireFields.within(run, "ranks", 0, Integer.MAX_VALUE),
        run.has("last_sealed") ? WireFields.step(run, "last_sealed") : null,
        run.has("last_durable") ? WireFields.step(run, "last_durable") : null,
        WireFields.within(run, "queue", 0, Integer.MAX_VALUE),
        WireFields.within(run, "failures", 0, Integer.MAX_VALUE),
        run.integer("held"),
        run.has("limit_rate") ? WireFields.atLeast(run, "limit_rate", 1) : null,
        run.bool("gentle"),
        run.has("due") ? readDue(run.object("due")) : null,
        run.has("slowest") ? readSlowest(run.object("slowest")) : null,
        all(run, "saves", StatusCodec::readSave),
        all(run, "held_up", StatusCodec::readHeldUp));
  }

  private static Json due(RunStatus.@Nullable Due due) {
    if (due == null) {
      return Json.NULL;
    }
    return Json.object()
        .put("step", due.step())
        .put("why", due.why())
        .put("attempt", due.attempt())
        .put("needs_ms", due.needsMs() == null ? Json.NULL : Json.of(due.needsMs().doubleValue()))
        .put("grace_ms", WireFields.orNull(due.graceMs()))
        .build();
  }

  private static RunStatus.Due readDue(Json.Obj due) {
    return new RunStatus.Due(
        WireFields.step(due, "step"),
        due.text("why"),
        WireFields.within(due, "attempt", 1, Integer.MAX_VALUE),
        due.has("needs_ms") ? due.real("needs_ms") : null,
        due.has("grace_ms") ? WireFields.atLeast(due, "grace_ms", 0) : null);
  }

  private static Json slowest(RunStatus.@Nullable Slowest slowest) {
    return slowest == null
        ? Json.NULL
        : Json.object()
            .put("id", slowest.id())
            .put("rank", slowest.rank())
            .put("ms", slowest.ms())
            .build();
  }

  private static RunStatus.Slowest readSlowest(Json.Obj slowest) {
    return new RunStatus.Slowest(
        slowest.text("id"),
        WireFields.within(slowest, "rank", 0, Integer.MAX_VALUE),
        slowest.real("ms"));
  }

  private static Json save(RunStatus.Save save) {
    return Json.object()
        .put("id", save.id())
        .put("rank", save.rank())
        .put("phase", save.phase())
        .put("done", save.done())
        .put("bytes", save.bytes())
        .put("waiting_for", Json.integers(save.waitingFor()))
        .put("phases", all(save.phases(), StatusCodec::phase))
        .build();
  }

  private static Json phase(RunStatus.Phase phase) {
    return Json.object().put("phase", phase.name()).put("ms", phase.ms()).build();
  }

  private static RunStatus.Save readSave(Json.Obj save) {
    return new RunStatus.Save(
        save.text("id"),
        WireFields.within(save, "rank", 0, Integer.MAX_VALUE),
        save.text("phase"),
        save.integer("done"),
        save.integer("bytes"),
        WireFields.integers(save, "waiting_for"),
        all(save, "phases", phase -> new RunStatus.Phase(phase.text("phase"), phase.real("ms"))));
  }

  private static Json heldUp(RunStatus.HeldUp heldUp) {
    return Json.object()
        .put("rank", heldUp.rank())
        .put("why", heldUp.why())
        .put("ms", heldUp.ms())
        .build();
  }

  private static RunStatus.HeldUp readHeldUp(Json.Obj heldUp) {
    return new RunStatus.HeldUp(
        WireFields.within(heldUp, "rank", 0, Integer.MAX_VALUE),
        heldUp.text("why"),
        heldUp.real("ms"));
  }

  private static Json segment(SegmentStatus segment) {
    return Json.object()
        .put("segment", segment.segment())
        .put("store", segment.store())
        .put("run", segment.run())
        .put("rank", segment.rank())
        .put("pid", segment.pid())
        .put("living", segment.living())
        .put("step", WireFields.orNull(segment.step()))
        .put("bytes", segment.bytes())
        .put("fate", segment.fate())
        .build();
  }

  private static SegmentStatus readSegment(Json.Obj segment) {
    return new SegmentStatus(
        segment.text("segment"),
        segment.text("store"),
        segment.text("run"),
        WireFields.within(segment, "rank", 0, Integer.MAX_VALUE),
        segment.integer("pid"),
        segment.bool("living"),
        segment.has("step") ? WireFields.step(segment, "step") : null,
        segment.integer("bytes"),
        segment.text("fate"));
  }
}
