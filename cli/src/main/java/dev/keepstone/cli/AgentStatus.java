package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.AnswerCodec;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.RunStatus;
import dev.keepstone.segment.wire.SegmentStatus;
import java.io.IOException;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
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
    console.say(
        "          "
            + Units.size(status.free())
            + " more may be had; "
            + Units.size(status.resident())
            + " beyond segments");
    Table table = table(status.runs(), console);
    if (status.runs().isEmpty()) {
      console.say("runs      none");
    } else {
      console.say("");
      table.lines().forEach(console::say);
    }
    status.runs().forEach(run -> tell(run, console));
    leftovers(status.segments(), console);
    Map<String, Json> fields = new LinkedHashMap<>(AnswerCodec.toJson(status).fields());
    fields.remove("ok");
    return Answer.of(new Json.Obj(fields));
  }

  private static Table table(List<RunStatus> runs, Console console) {
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
            "memory>",
            "store");
    for (RunStatus run : runs) {
      table.row(
          run.run(),
          "" + run.start(),
          "" + run.ranks(),
          step(run.lastSealed()),
          step(run.lastDurable()),
          "" + run.queue(),
          "" + run.failures(),
          Units.size(run.held()),
          run.store());
    }
    return table;
  }

  /// What a run is about, below the table.
  private static void tell(RunStatus run, Console console) {
    for (RunStatus.Save save : run.saves()) {
      console.say(run.run() + "@" + save.id() + " rank " + save.rank() + ": " + phases(save));
    }
    RunStatus.Slowest slowest = run.slowest();
    if (slowest != null && run.ranks() > 1) {
      console.say(
          "%s@%s: slowest was rank %d, %.1f s from seal to part"
              .formatted(run.run(), slowest.id(), slowest.rank(), slowest.ms() / 1e3));
    }
    for (RunStatus.HeldUp held : run.heldUp()) {
      console.say(
          "%s rank %d waits for %s, %.1f s by now"
              .formatted(run.run(), held.rank(), held.why(), held.ms() / 1e3));
    }
    if (run.limitRate() != null || run.gentle()) {
      String rate =
          run.limitRate() == null ? "no limit" : Units.size(run.limitRate()) + " a second";
      console.say(run.run() + " drains with " + rate + (run.gentle() ? ", at low priority" : ""));
    }
    RunStatus.Due due = run.due();
    if (due != null) {
      String needs =
          due.needsMs() == null ? "" : ", needs about %.1f s".formatted(due.needsMs() / 1e3);
      String grace =
          due.graceMs() == null ? "" : ", grace is %.1f s".formatted(due.graceMs() / 1e3);
      console.say(
          run.run()
              + "@"
              + run.start()
              + "-"
              + due.step()
              + " is due, "
              + due.why()
              + needs
              + grace);
    }
  }

  /// `sealed 0.1 s, draining 41 %, 1.2 s`.
  private static String phases(RunStatus.Save save) {
    return save.phases().stream()
        .map(phase -> {
          boolean drains = phase.name().equals("draining") && save.phase().equals("draining");
          String share =
              drains && save.bytes() > 0 ? " " + 100 * save.done() / save.bytes() + " %," : "";
          return "%s%s %.1f s".formatted(phase.name(), share, phase.ms() / 1e3);
        })
        .collect(
            Collectors.joining(
                ", ",
                "",
                save.waitingFor().isEmpty() ? "" : ", waits for ranks " + save.waitingFor()));
  }

  private static void leftovers(List<SegmentStatus> segments, Console console) {
    for (SegmentStatus segment : segments) {
      if (!segment.living()) {
        console.say(
            "left of a dead trainer: %s rank %d, step %s, %s: %s"
                .formatted(
                    segment.run(),
                    segment.rank(),
                    step(segment.step()),
                    Units.size(segment.bytes()),
                    segment.fate()));
      }
    }
  }

  private static String step(@Nullable Long step) {
    return step == null ? "-" : step.toString();
  }
}
