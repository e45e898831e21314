package dev.keepstone.demo;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import java.io.PrintStream;

/// What the trainer tells on standard output: one JSON object a line, flushed at once, so that what
/// was said before a SIGKILL has been said.
///
/// `{"begin":47}` stands before a step, `{"step":47,"loss":…,"bits":"…","ms":…}` after it; a
/// trainer that died in a step has said the first and not the second.
final class Lines {
  private final PrintStream out;

  Lines(PrintStream out) {
    this.out = out;
  }

  /// @return whether somebody still reads
  boolean tell(Json.Builder line) {
    out.print(JsonWriter.compact(line.build()) + "\n");
    return !out.checkError();
  }

  /// A step done: its loss as a decimal to read and as the bits of a double to compare.
  static Json.Builder step(long step, float loss, double millis) {
    return Json.object()
        .put("step", step)
        .put("loss", (double) loss)
        .put("bits", String.format("%016x", Double.doubleToRawLongBits(loss)))
        .put("ms", millis);
  }
}
