package dev.keepstone.agent;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/// The place of one rank, and the process that sits there now.
final class Seat {
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(90);

  final int rank;
  private final Told told;
  private final OutputStream to;
  private int heard;

  Seat(int rank, Process process) {
    this.rank = rank;
    this.told = new Told(process);
    this.to = process.getOutputStream();
  }

  boolean alive() {
    return told.process().isAlive();
  }

  void tell(String line) {
    try {
      to.write((line + "\n").getBytes(StandardCharsets.UTF_8));
      to.flush();
    } catch (IOException e) {
      // It was killed; whoever waits for its answer finds that out.
    }
  }

  /// Its next line; empty where it died before it said one.
  Optional<String> hear(String doing) {
    long begun = Nodes.CLOCK.nanos();
    while (true) {
      // Asked before the lines: a dead process says no more.
      boolean alive = alive();
      List<String> lines = told.lines();
      if (lines.size() > heard) {
        String line = lines.get(heard++);
        if (line.startsWith("wrong")) {
          throw new AssertionError("rank " + rank + ": " + line + ", " + doing);
        }
        return Optional.of(line);
      }
      if (!alive) {
        return Optional.empty();
      }
      if (Nodes.CLOCK.nanos() - begun > PATIENCE_NANOS) {
        throw new AssertionError("rank " + rank + " hangs, " + doing);
      }
      Nodes.CLOCK.pause(Duration.ofMillis(2));
    }
  }

  void kill() throws InterruptedException {
    told.kill();
  }

  void signal(String name) throws IOException, InterruptedException {
    signal(told.process(), name);
  }

  /// Sends a signal by name, as `STOP`.
  static void signal(Process process, String name) throws IOException, InterruptedException {
    new ProcessBuilder("kill", "-" + name, Long.toString(process.pid()))
        .redirectErrorStream(true)
        .start()
        .waitFor();
  }
}
