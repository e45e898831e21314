package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.segment.place.AgentDirectory;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// `keepstone agent logs`: the end of the agent's log or of its events, also after its death.
@Command(
    name = "logs",
    header = "Print the last lines of the agent's log, or of its events.",
    footer = {
      "",
      "Examples:",
      "  keepstone agent logs --lines 20",
      "  keepstone agent logs --events --follow"
    })
final class AgentLogs implements Verb {
  private static final int LOOK_EVERY_MILLIS = 200;

  /// As much of a file as is looked at for its last lines.
  private static final int MAX_TAIL = 16 << 20;

  @Option(names = "--events", description = "Events instead of the log: one JSON object a line.")
  boolean events;

  @Option(
      names = "--lines",
      paramLabel = "N",
      defaultValue = "50",
      description = "How many lines (default: ${DEFAULT-VALUE}).")
  int lines;

  @Option(
      names = {"-f", "--follow"},
      description = "Go on with what is written from now on, until Ctrl-C.")
  boolean follow;

  @Spec CommandSpec spec = CommandSpec.create();

  @Override
  public Set<ExitCode> codes() {
    return EnumSet.of(
        ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE, ExitCode.NO_AGENT, ExitCode.INTERRUPTED);
  }

  @Override
  public Answer run(Console console) throws IOException, InterruptedException {
    if (follow && console.json()) {
      throw new ParameterException(
          new CommandLine(spec),
          "--follow never ends, so it has no JSON document; --events --follow prints JSON lines");
    }
    AgentDirectory directory = AgentDirectory.of(console.shell().environment());
    Path file = events ? directory.events() : directory.log();
    if (!Files.exists(file)) {
      throw new KeepstoneException.AgentUnavailable(
          "no agent has written here", file.toString(), "keepstone agent start");
    }
    long end = Files.size(file);
    List<String> tail = tail(file, end);
    tail.forEach(console::say);
    if (follow) {
      follow(file, end, console);
    }
    List<Json> values = new ArrayList<>();
    for (String line : tail) {
      values.add(events ? event(line) : Json.of(line));
    }
    return Answer.of(Json.object().put(events ? "events" : "lines", Json.array(values)).build());
  }

  /// An event; the last line of a full disk may be torn and is then told as text.
  private static Json event(String line) {
    try {
      return JsonReader.read(line.getBytes(StandardCharsets.UTF_8));
    } catch (JsonException _) {
      return Json.of(line);
    }
  }

  private List<String> tail(Path file, long end) throws IOException {
    long from = Math.max(0, end - MAX_TAIL);
    List<String> all = new String(read(file, from, end), StandardCharsets.UTF_8).lines().toList();
    return List.copyOf(all.subList(Math.max(0, all.size() - Math.max(0, lines)), all.size()));
  }

  private static byte[] read(Path file, long from, long to) throws IOException {
    try (RandomAccessFile open = new RandomAccessFile(file.toFile(), "r")) {
      open.seek(from);
      byte[] bytes = new byte[(int) Math.min(to - from, MAX_TAIL)];
      open.readFully(bytes);
      return bytes;
    }
  }

  private static void follow(Path file, long end, Console console)
      throws IOException, InterruptedException {
    long at = end;
    while (true) {
      TimeUnit.MILLISECONDS.sleep(LOOK_EVERY_MILLIS);
      long size = Files.exists(file) ? Files.size(file) : 0;
      if (size < at) {
        // It was turned over: what is there now is new from its beginning.
        at = 0;
      }
      String text = new String(read(file, at, size), StandardCharsets.UTF_8);
      int whole = text.lastIndexOf('\n') + 1;
      text.substring(0, whole).lines().forEach(console::say);
      at += text.substring(0, whole).getBytes(StandardCharsets.UTF_8).length;
    }
  }
}
