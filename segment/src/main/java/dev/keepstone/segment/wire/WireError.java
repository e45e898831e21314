package dev.keepstone.segment.wire;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;

/// Failures as error frames: `{"ok":false,"error":{"type","what","on","next"}}`.
public final class WireError {
  private WireError() {}

  /// The whole answer frame.
  public static Json.Obj frame(KeepstoneException failure) {
    return Json.object().put("ok", false).put("error", toJson(failure)).build();
  }

  /// The object under `error`.
  public static Json.Obj toJson(KeepstoneException failure) {
    return Json.object()
        .put("type", type(failure))
        .put("what", failure.what())
        .put("on", failure.on())
        .put("next", failure.next())
        .build();
  }

  /// Reads the object under `error`. A type that is not known here is [KeepstoneException.Failed].
  public static KeepstoneException read(Json.Obj error) {
    String what = error.text("what");
    String on = error.text("on");
    String next = error.text("next");
    return switch (error.text("type")) {
      case "NotFound" -> new KeepstoneException.NotFound(what, on, next);
      case "IntegrityError" -> new KeepstoneException.Integrity(what, on, next);
      case "Refused" -> new KeepstoneException.Refused(what, on, next);
      case "NoSpace" -> new KeepstoneException.NoSpace(what, on, next);
      case "Busy" -> new KeepstoneException.Busy(what, on, next);
      case "Denied" -> new KeepstoneException.Denied(what, on, next);
      case "Fenced" -> new KeepstoneException.Fenced(what, on, next);
      case "OutcomeUnknown" -> new KeepstoneException.OutcomeUnknown(what, on, next);
      case "Unsupported" -> new KeepstoneException.Unsupported(what, on, next);
      case "AgentUnavailable" -> new KeepstoneException.AgentUnavailable(what, on, next);
      default -> new KeepstoneException.Failed(what, on, next, null);
    };
  }

  /// The word under `type`.
  public static String type(KeepstoneException failure) {
    return switch (failure) {
      case KeepstoneException.NotFound e -> "NotFound";
      case KeepstoneException.Integrity e -> "IntegrityError";
      case KeepstoneException.Refused e -> "Refused";
      case KeepstoneException.NoSpace e -> "NoSpace";
      case KeepstoneException.Busy e -> "Busy";
      case KeepstoneException.Denied e -> "Denied";
      case KeepstoneException.Fenced e -> "Fenced";
      case KeepstoneException.OutcomeUnknown e -> "OutcomeUnknown";
      case KeepstoneException.Unsupported e -> "Unsupported";
      case KeepstoneException.AgentUnavailable e -> "AgentUnavailable";
      case KeepstoneException.Failed e -> "Failed";
    };
  }
}
