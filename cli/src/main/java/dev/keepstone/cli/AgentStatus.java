package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.AnswerCodec;
import dev.keepstone.segment.wire.Request;
import java.io.IOException;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;

/// `keepstone agent status`: what the agent holds and how far it is.
@Command(
    name = "status",
    header = "Show what this node's agent holds and how far its drains are.",
    footer = {"", "Examples:", "  keepstone agent status", "  keepstone agent status --json"})
final class AgentStatus implements Verb {
  @Override
  public Set<ExitCode> codes() {
    return EnumSet.of(ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE, ExitCode.NO_AGENT);
  }

  @Override
  public Answer run(Console console) throws IOException {
    var status = AgentSocket.of(console.shell()).ask(new Request.Status());
    console.say("pid       " + status.pid() + ", ends with the " + status.outlives().word());
    console.say("socket    " + status.socket());
    console.say(
        "memory    "
            + Units.size(status.used())
            + " of "
            + Units.size(status.budget())
            + " in use");
    Table table =
        new Table(
            console.columns(),
            "",
            "run",
            "start>",
            "ranks>",
            "sealed>",
            "durable>",
            "queue>",
            "failures>",
            "store");
    for (var run : status.runs()) {
      table.row(
          run.run(),
          "" + run.start(),
          "" + run.ranks(),
          step(run.lastSealed()),
          step(run.lastDurable()),
          "" + run.queue(),
          "" + run.failures(),
          run.store());
    }
    if (status.runs().isEmpty()) {
      console.say("runs      none");
    } else {
      console.say("");
      table.lines().forEach(console::say);
    }
    Map<String, Json> fields = new LinkedHashMap<>(AnswerCodec.toJson(status).fields());
    fields.remove("ok");
    return Answer.of(new Json.Obj(fields));
  }

  private static String step(@Nullable Long step) {
    return step == null ? "-" : step.toString();
  }
}
