package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.net.SocketTimeoutException;
import java.nio.channels.ClosedByInterruptException;
import java.util.List;

/// A failure as the command tells it: three lines on stderr, the `error` of the JSON document.
record Fault(ExitCode code, String what, String on, String next) {
  static Fault of(KeepstoneException failure) {
    return new Fault(ExitCode.of(failure), failure.what(), failure.on(), failure.next());
  }

  /// Whatever ended a verb.
  static Fault of(Throwable error, String verb) {
    // Deep inside, an interruption looks like a failure of whatever it met.
    for (Throwable cause = error; cause != null; cause = cause.getCause()) {
      if (isInterruption(cause)) {
        return interrupted(verb);
      }
    }
    return switch (error) {
      case KeepstoneException failure -> of(failure);
      case IOException failure ->
          of(KeepstoneException.from(failure, verb, String.valueOf(failure.getMessage())));
      case UncheckedIOException wrapped when wrapped.getCause() != null ->
          of(wrapped.getCause(), verb);
      default ->
          new Fault(
              ExitCode.FAILED,
              "unexpected: " + error,
              "keepstone " + verb,
              "run it again with --debug and report what it prints");
    };
  }

  private static boolean isInterruption(Throwable cause) {
    return cause instanceof InterruptedException
        || cause instanceof ClosedByInterruptException
        // Its subclass for time-outs is no interruption.
        || cause instanceof InterruptedIOException && !(cause instanceof SocketTimeoutException);
  }

  static Fault usage(Exception error, String command) {
    return new Fault(
        ExitCode.USAGE, String.valueOf(error.getMessage()), command, command + " --help");
  }

  private static Fault interrupted(String verb) {
    return new Fault(
        ExitCode.INTERRUPTED,
        "interrupted",
        "keepstone " + verb,
        "nothing partial was left; the same command begins again");
  }

  Fault as(ExitCode other) {
    return new Fault(other, what, on, next);
  }

  List<String> lines() {
    return List.of("keepstone: " + what, "  on    " + on, "  next  " + next);
  }

  Json.Obj json() {
    return Json.object()
        .put("code", code.number)
        .put("what", what)
        .put("on", on)
        .put("next", next)
        .build();
  }
}
