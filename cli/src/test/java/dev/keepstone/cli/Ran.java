package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.store.tier.StoreClock;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;

/// One run of the command in this process, and what it left on its streams.
record Ran(int code, String out, String err) {
  static final Instant NOW = Instant.parse("2026-11-24T12:00:00Z");

  /// Two commands never draw the same token.
  private static final AtomicLong SEED = new AtomicLong(7);

  /// Runs as in a pipe, at a fixed time.
  ///
  /// @param agent folder of an agent, which need not exist
  static Ran keepstone(Path agent, String... args) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    Shell shell =
        new Shell(
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8),
            false,
            false,
            80,
            Map.of("KEEPSTONE_AGENT_DIR", agent.toString(), "PATH", "/usr/bin:/bin"),
            new Host(
                Disk.local(),
                StoreClock.of(() -> NOW, System::nanoTime, pause -> {}),
                new SplittableRandom(SEED.incrementAndGet())));
    int code = Main.run(List.of(args), shell);
    return new Ran(
        code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  /// Runs where no agent is needed.
  static Ran keepstone(String... args) {
    return keepstone(Path.of("/nonexistent/agent"), args);
  }

  /// The one document on stdout.
  Json.Obj json() {
    return JsonReader.readObject(out.getBytes(StandardCharsets.UTF_8));
  }

  Json.Obj error() {
    return json().object("error");
  }
}
