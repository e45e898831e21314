package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import java.io.PrintStream;
import java.time.Duration;
import java.time.InstantSource;
import java.util.concurrent.atomic.AtomicLong;

/// How far a long job is: on a terminal one line that is overwritten, in a pipe one plain line
/// every 30 seconds, with `--json-lines` an object every second.
///
/// Any thread may report. Closing it wipes the line; what was done is the verb's to say.
final class Progress implements AutoCloseable {
  /// How it is shown.
  enum Form {
    SILENT,
    LINE,
    PLAIN,
    JSON
  }

  private static final Duration REDRAW = Duration.ofMillis(100);
  private static final Duration JSON_EVERY = Duration.ofSeconds(1);
  private static final Duration PLAIN_EVERY = Duration.ofSeconds(30);

  private final PrintStream out;
  private final Form form;
  private final int columns;
  private final InstantSource clock;
  private final String doing;
  private final long began;
  private final AtomicLong nextShown;
  private boolean drawn;

  Progress(PrintStream out, Form form, int columns, InstantSource clock, String doing) {
    this.out = out;
    this.form = form;
    this.columns = columns;
    this.clock = clock;
    this.doing = doing;
    this.began = clock.millis();
    this.nextShown = new AtomicLong(began + every().toMillis());
  }

  private Duration every() {
    return switch (form) {
      case LINE -> REDRAW;
      case JSON -> JSON_EVERY;
      case PLAIN, SILENT -> PLAIN_EVERY;
    };
  }

  /// So many bytes are done.
  ///
  /// @param total of all; 0 where that is not known
  void set(long bytes, long total) {
    if (form == Form.SILENT) {
      return;
    }
    long now = clock.millis();
    long due = nextShown.get();
    if (now >= due && nextShown.compareAndSet(due, now + every().toMillis())) {
      show(form == Form.JSON ? jsonLine(bytes, total) : line(bytes, total, now));
    }
  }

  private synchronized void show(String line) {
    switch (form) {
      case SILENT -> {}
      case PLAIN, JSON -> out.println(line);
      case LINE -> {
        int room = Math.max(20, columns - 1);
        String cut = line.length() > room ? line.substring(0, room) : line;
        out.print("\r" + cut + " ".repeat(room - cut.length()));
        out.flush();
        drawn = true;
      }
    }
  }

  private String jsonLine(long bytes, long total) {
    return Console.jsonLine(
        "progress",
        Json.object().put("doing", doing).put("bytes", bytes).put("total", total).build());
  }

  private String line(long bytes, long total, long now) {
    double seconds = Math.max(now - began, 1) / 1000.0;
    long rate = (long) (bytes / seconds);
    if (total <= 0) {
      return doing + "  " + Units.size(bytes) + "  " + Units.size(rate) + "/s";
    }
    long left = rate > 0 ? Math.max(0, total - bytes) / rate : 0;
    return doing
        + "  "
        + Units.size(bytes)
        + " of "
        + Units.size(total)
        + "  "
        + Math.min(100, bytes * 100 / total)
        + " %  "
        + Units.size(rate)
        + "/s  "
        + (rate > 0 ? Units.duration(Duration.ofSeconds(left)) + " left" : "");
  }

  @Override
  public synchronized void close() {
    if (drawn) {
      out.print("\r" + " ".repeat(Math.max(20, columns - 1)) + "\r");
      out.flush();
      drawn = false;
    }
  }
}
