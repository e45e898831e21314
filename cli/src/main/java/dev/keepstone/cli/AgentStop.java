package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Request;
import java.io.IOException;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `keepstone agent stop`: ends the agent, and returns when its process has ended.
@Command(
    name = "stop",
    header = "Drain what is sealed, then end this node's agent.",
    footer = {"", "Examples:", "  keepstone agent stop", "  keepstone agent stop --now"})
final class AgentStop implements Verb {
  private static final int LOOK_EVERY_MILLIS = 20;

  @Option(
      names = "--now",
      description = "End at once; sealed state stays for the next agent to drain.")
  boolean now;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "600",
      description = "How long to wait for its end (default: ${DEFAULT-VALUE}).")
  int timeout;

  @Override
  public Set<ExitCode> codes() {
    return EnumSet.of(
        ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE, ExitCode.BUSY, ExitCode.NO_AGENT);
  }

  @Override
  public Answer run(Console console) throws IOException, InterruptedException {
    AgentSocket socket = AgentSocket.of(console.shell());
    long pid = socket.ask(new Request.Status()).pid();
    socket.ask(new Request.Stop(now));
    ProcessHandle agent = ProcessHandle.of(pid).orElse(null);
    long deadline = console.shell().clock().millis() + TimeUnit.SECONDS.toMillis(timeout);
    // The socket goes before the process: who starts the next agent at once must find the lock
    // free.
    while (socket.answers() || (agent != null && agent.isAlive())) {
      if (console.shell().clock().millis() > deadline) {
        throw new KeepstoneException.Busy(
            "the agent still drains after " + timeout + " s",
            "pid " + pid,
            "wait for it: keepstone agent status; or keepstone agent stop --now");
      }
      TimeUnit.MILLISECONDS.sleep(LOOK_EVERY_MILLIS);
    }
    console.say("stopped: pid " + pid);
    return Answer.of(Json.object().put("pid", pid).build());
  }
}
