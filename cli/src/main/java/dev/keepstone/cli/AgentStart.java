package dev.keepstone.cli;

import dev.keepstone.agent.AgentJvm;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.wire.Request;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `keepstone agent start`: the agent as a process of its own, which outlives this one.
@Command(
    name = "start",
    header = "Start this node's agent, and return when it answers.",
    footer = {
      "",
      "Examples:",
      "  keepstone agent start --budget 64GiB",
      "  keepstone agent start --foreground --limit-rate 500MiB"
    })
final class AgentStart implements Verb {
  private static final int START_SECONDS = 20;
  private static final int LOOK_EVERY_MILLIS = 20;

  @Option(
      names = "--foreground",
      description = "Be the agent, in this terminal, until Ctrl-C or SIGTERM; log to stderr.")
  boolean foreground;

  @Option(
      names = "--budget",
      paramLabel = "SIZE",
      converter = SizeOption.class,
      description = "Shared memory for all segments, as in 8GiB.")
  @Nullable Long budget;

  @Option(
      names = "--limit-rate",
      paramLabel = "SIZE",
      converter = SizeOption.class,
      description = "Bytes a second that draining may write, as in 500MiB.")
  @Nullable Long limitRate;

  @Option(
      names = "--scrub",
      paramLabel = "SIZE",
      converter = SizeOption.class,
      description = "Verify in the background, reading so many bytes a second (default: off).")
  @Nullable Long scrub;

  @Option(
      names = "--gentle",
      description = "Drain at low CPU and I/O priority (default: as any process).")
  boolean gentle;

  @Option(
      names = "--stop-timeout",
      paramLabel = "TIME",
      description =
          "How long it drains when told to end, as in 30min (default: 10min); then the next agent"
              + " has to.")
  @Nullable String stopTimeout;

  @Option(
      names = "--idle",
      paramLabel = "TIME",
      description =
          "End after so long with nothing to do, as in 12h (default: 10min; in the foreground,"
              + " never).")
  @Nullable String idle;

  @Override
  public Set<ExitCode> codes() {
    return EnumSet.of(
        ExitCode.DONE,
        ExitCode.FAILED,
        ExitCode.USAGE,
        ExitCode.DENIED,
        ExitCode.BUSY,
        ExitCode.NO_AGENT,
        ExitCode.INTERRUPTED);
  }

  @Override
  public Answer run(Console console) throws IOException, InterruptedException {
    AgentSocket socket = AgentSocket.of(console.shell());
    if (socket.answers()) {
      long pid = socket.ask(new Request.Status()).pid();
      console.say("already running: pid " + pid);
      return answer(false, pid, socket);
    }
    AgentDirectory directory = AgentDirectory.of(console.shell().environment());
    directory.create();
    List<String> command = command(directory);
    return foreground
        ? inForeground(command, console)
        : inBackground(command, directory, socket, console);
  }

  private Answer inForeground(List<String> command, Console console)
      throws IOException, InterruptedException {
    command.add("--foreground");
    console.shell().out().flush();
    // So that signals and the supervisor's questions reach the agent itself.
    Exec.replace(command);
    Process agent = new ProcessBuilder(command).inheritIO().start();
    try {
      int code = agent.waitFor();
      if (code == 0) {
        return Answer.done();
      }
      throw new KeepstoneException.Failed(
          "the agent ended with " + code, "pid " + agent.pid(), "read what it printed", null);
    } catch (InterruptedException e) {
      agent.destroy();
      agent.waitFor(START_SECONDS, TimeUnit.SECONDS);
      throw e;
    }
  }

  private Answer inBackground(
      List<String> command, AgentDirectory directory, AgentSocket socket, Console console)
      throws IOException, InterruptedException {
    Path log = directory.log();
    Process agent =
        new ProcessBuilder(command)
            .redirectInput(new File("/dev/null"))
            .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
            .redirectErrorStream(true)
            .start();
    long deadline = console.shell().clock().millis() + START_SECONDS * 1000L;
    while (console.shell().clock().millis() < deadline) {
      if (socket.answers()) {
        long pid = socket.ask(new Request.Status()).pid();
        console.say("started: pid " + pid + ", " + directory.path());
        return answer(true, pid, socket);
      }
      boolean ended = agent.waitFor(LOOK_EVERY_MILLIS, TimeUnit.MILLISECONDS);
      // One that found another agent's lock has lost a race: the winner is about to answer.
      if (ended && agent.exitValue() == ExitCode.BUSY.number) {
        Thread.sleep(LOOK_EVERY_MILLIS);
      } else if (ended) {
        throw new KeepstoneException.AgentUnavailable(
            "the agent ended with " + agent.exitValue() + " before it answered",
            log.toString(),
            "read the end of that file");
      }
    }
    agent.destroy();
    throw new KeepstoneException.AgentUnavailable(
        "the agent did not answer within " + START_SECONDS + " s",
        socket.path().toString(),
        "read the end of " + log);
  }

  private static Answer answer(boolean started, long pid, AgentSocket socket) {
    return Answer.of(
        Json.object()
            .put("started", started)
            .put("pid", pid)
            .put("socket", socket.path().toString())
            .build());
  }

  private List<String> command(AgentDirectory directory) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(AgentJvm.OPTIONS);
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(List.of("dev.keepstone.agent.AgentMain", "--dir", directory.path().toString()));
    if (budget != null) {
      command.addAll(List.of("--budget", budget.toString()));
    }
    if (limitRate != null) {
      command.addAll(List.of("--limit-rate", limitRate.toString()));
    }
    if (scrub != null) {
      command.addAll(List.of("--scrub", scrub.toString()));
    }
    if (gentle) {
      command.add("--gentle");
    }
    if (stopTimeout != null) {
      command.addAll(List.of("--stop-timeout", stopTimeout));
    }
    if (idle != null) {
      command.addAll(List.of("--idle", idle));
    }
    return command;
  }
}
