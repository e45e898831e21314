package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Request;
import java.io.IOException;
import java.util.EnumSet;
import java.util.Set;
import picocli.CommandLine.Command;

/// `keepstone agent metrics`: the agent's figures, as scrapers read them from its socket.
@Command(
    name = "metrics",
    header = "Print the agent's figures in Prometheus' text format.",
    footer = {"", "Examples:", "  keepstone agent metrics", "  keepstone agent metrics --json"})
final class AgentMetrics implements Verb {
  @Override
  public Set<ExitCode> codes() {
    return EnumSet.of(ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE, ExitCode.NO_AGENT);
  }

  @Override
  public Answer run(Console console) throws IOException {
    String text = AgentSocket.of(console.shell()).ask(new Request.Metrics()).text();
    text.lines().forEach(console::say);
    return Answer.of(Json.object().put("text", text).build());
  }
}
