package dev.keepstone.segment.wire;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.reshard.Wanted;
import dev.keepstone.segment.layout.LayoutRequest;
import dev.keepstone.segment.layout.RegisteredPiece;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Requests as JSON, exactly as docs/spec/wire.md has them.
public final class RequestCodec {
  /// The version of the protocol that this speaks.
  public static final int VERSION = 1;

  /// Tensors and pieces of one rank: what the heap of an agent has room for.
  public static final int MAX_PIECES = 400_000;

  private static final Pattern CLIENT = Pattern.compile("[0-9a-f]{16}");
  private static final long DEFAULT_TIMEOUT_MS = 120_000;
  private static final long DEFAULT_COMMIT_TIMEOUT_MS = 1_200_000;

  private RequestCodec() {}

  /// The request as a frame.
  public static Json.Obj toJson(Request<?> request) {
    Json.Builder frame = Json.object().put("do", request.verb());
    switch (request) {
      case Request.Hello(String client, long pid, String version, long sealed) ->
          frame
              .put("v", VERSION)
              .put("client", client)
              .put("pid", pid)
              .put("version", version)
              .put("sealed", sealed);
      case Request.Start start ->
          frame
              .put("store", start.store())
              .put("run", start.run())
              .put("token", start.token())
              .put("rank", start.rank())
              .put("world", start.world())
              .put("wanted", start.wanted())
              .put("policy", start.policy())
              .put("node", start.node())
              .put("local", start.local())
              .put("commit_timeout_ms", start.commitTimeoutMs());
      case Request.Open(String id) -> frame.put("id", id);
      case Request.Want(List<Wanted> tensors) ->
          frame.put("tensors", Json.array(tensors.stream().map(RestoreCodec::wanted).toList()));
      case Request.Register register -> register(frame, register);
      case Request.Lend(long timeoutMs) -> frame.put("timeout_ms", timeoutMs);
      case Request.Sealed(int layout, int slot, long generation, long step) ->
          frame
              .put("layout", layout)
              .put("slot", slot)
              .put("generation", generation)
              .put("step", step);
      case Request.Refuse(long step, String why, String detail) ->
          frame.put("step", step).put("why", why).put("detail", detail);
      case Request.Wait(String id, long timeoutMs) ->
          frame.put("id", id).put("timeout_ms", timeoutMs);
      case Request.Report(String which, Json.Obj metrics) ->
          frame.put("which", which).put("metrics", metrics);
      case Request.Preempt(long step, Long graceMs, Long missed) -> {
        frame.put("step", step);
        if (graceMs != null) {
          frame.put("grace_ms", graceMs);
        }
        if (missed != null) {
          frame.put("missed", missed);
        }
      }
      case Request.Events(long after) -> frame.put("after", after);
      case Request.Rate(String store, String run, Long limitRate, Boolean gentle) -> {
        frame.put("store", store).put("run", run).put("limit_rate", WireFields.orNull(limitRate));
        if (gentle != null) {
          frame.put("gentle", gentle.booleanValue());
        }
      }
      case Request.Free(String store, String run) -> frame.put("store", store).put("run", run);
      case Request.Stop(boolean now) -> frame.put("now", now);
      case Request.Next _,
          Request.Done _,
          Request.Close _,
          Request.Status _,
          Request.Metrics _ -> {}
    }
    return frame.build();
  }

  private static void register(Json.Builder frame, Request.Register register) {
    LayoutRequest layout = register.layout();
    frame
        .put("pieces", Json.array(layout.pieces().stream().map(WireFields::piece).toList()))
        .put("state", layout.state())
        .put("state_bytes", layout.stateBytes())
        .put("slots", register.slots())
        .put("budget", WireFields.orNull(register.budget()))
        .put("limit_rate", WireFields.orNull(register.limitRate()))
        .put("timeout_ms", register.timeoutMs())
        .put("configs", layout.configs())
        .put("provenance", layout.provenance());
  }

  /// Reads a request and checks its ranges.
  ///
  /// @throws KeepstoneException.Unsupported for an unknown verb or version
  /// @throws KeepstoneException.Refused where a field is missing, of another type or out of range
  public static Request<?> read(Json.Obj frame) {
    String verb = "request";
    try {
      verb = frame.text("do");
      return read(verb, frame);
    } catch (JsonException | IllegalArgumentException e) {
      throw new KeepstoneException.Refused(
          String.valueOf(e.getMessage()),
          "request \"" + verb + "\"",
          "send it as docs/spec/wire.md has it");
    }
  }

  private static Request<?> read(String verb, Json.Obj frame) {
    return switch (verb) {
      case "hello" -> hello(frame);
      case "start" -> start(frame);
      case "open" -> new Request.Open(frame.text("id"));
      case "want" ->
          new Request.Want(frame.array("tensors").stream().map(RestoreCodec::readWanted).toList());
      case "next" -> new Request.Next();
      case "done" -> new Request.Done();
      case "register" -> register(frame);
      case "lend" -> new Request.Lend(timeout(frame));
      case "sealed" ->
          new Request.Sealed(
              WireFields.within(frame, "layout", 1, Integer.MAX_VALUE),
              WireFields.within(frame, "slot", 0, WireFields.MAX_SLOTS - 1),
              WireFields.atLeast(frame, "generation", 1),
              WireFields.step(frame, "step"));
      case "refuse" ->
          new Request.Refuse(
              WireFields.step(frame, "step"), frame.text("why"), frame.text("detail"));
      case "wait" -> new Request.Wait(WireFields.textOrNull(frame, "id"), timeout(frame));
      case "report" -> new Request.Report(frame.text("which"), frame.object("metrics"));
      case "preempt" ->
          new Request.Preempt(
              WireFields.step(frame, "step"),
              frame.has("grace_ms") ? WireFields.atLeast(frame, "grace_ms", 0) : null,
              frame.has("missed") ? WireFields.step(frame, "missed") : null);
      case "close" -> new Request.Close();
      case "metrics" -> new Request.Metrics();
      case "free" ->
          new Request.Free(
              WireFields.textOrNull(frame, "store"), WireFields.textOrNull(frame, "run"));
      case "status" -> new Request.Status();
      case "events" ->
          new Request.Events(frame.has("after") ? WireFields.atLeast(frame, "after", 0) : 0);
      case "rate" ->
          new Request.Rate(
              frame.text("store"),
              frame.text("run"),
              rate(frame),
              frame.has("gentle") ? frame.bool("gentle") : null);
      case "stop" -> new Request.Stop(frame.has("now") && frame.bool("now"));
      default ->
          throw new KeepstoneException.Unsupported(
              "unknown verb \"" + verb + "\"",
              "request",
              "use an agent of the client's version or newer");
    };
  }

  private static Request.Hello hello(Json.Obj frame) {
    long version = frame.integer("v");
    if (version != VERSION) {
      throw new KeepstoneException.Unsupported(
          "protocol version " + version + " asked, " + VERSION + " spoken here",
          "request \"hello\"",
          "use a client and an agent of one version");
    }
    String client = frame.text("client");
    if (!CLIENT.matcher(client).matches()) {
      // It becomes part of file names in the agent's directory.
      throw new JsonException("field \"client\": expected 16 hex digits, found \"" + client + "\"");
    }
    return new Request.Hello(
        client,
        frame.integer("pid"),
        frame.text("version"),
        WireFields.atLeast(frame, "sealed", 0));
  }

  private static Request.Start start(Json.Obj frame) {
    int world = WireFields.within(frame, "world", 1, Integer.MAX_VALUE);
    return new Request.Start(
        frame.text("store"),
        frame.text("run"),
        frame.text("token"),
        WireFields.within(frame, "rank", 0, world - 1),
        world,
        frame.text("wanted"),
        frame.object("policy"),
        frame.has("node") ? frame.text("node") : "",
        frame.has("local") ? WireFields.within(frame, "local", 1, world) : 1,
        frame.has("commit_timeout_ms")
            ? WireFields.atLeast(frame, "commit_timeout_ms", 1)
            : DEFAULT_COMMIT_TIMEOUT_MS);
  }

  private static Request.Register register(Json.Obj frame) {
    List<RegisteredPiece> pieces = new ArrayList<>();
    List<Json> listed = frame.array("pieces");
    if (listed.size() > MAX_PIECES) {
      throw new JsonException(
          "an agent takes up to %d tensors and pieces of one rank, found %d"
              .formatted(MAX_PIECES, listed.size()));
    }
    for (int i = 0; i < listed.size(); i++) {
      pieces.add(WireFields.readPiece(listed.get(i), "pieces[" + i + "]"));
    }
    LayoutRequest layout =
        new LayoutRequest(
            pieces,
            frame.object("state"),
            WireFields.atLeast(frame, "state_bytes", 0),
            frame.object("configs"),
            frame.object("provenance"));
    return new Request.Register(
        layout,
        WireFields.within(frame, "slots", 2, WireFields.MAX_SLOTS),
        frame.has("budget") ? WireFields.atLeast(frame, "budget", 1) : null,
        rate(frame),
        timeout(frame));
  }

  private static @Nullable Long rate(Json.Obj frame) {
    return frame.has("limit_rate") ? WireFields.atLeast(frame, "limit_rate", 1) : null;
  }

  private static long timeout(Json.Obj frame) {
    return frame.has("timeout_ms")
        ? WireFields.atLeast(frame, "timeout_ms", 0)
        : DEFAULT_TIMEOUT_MS;
  }
}
