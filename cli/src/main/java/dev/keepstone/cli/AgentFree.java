package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Answer.Free;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.SegmentStatus;
import dev.keepstone.store.reference.Reference;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone agent free`: shared memory that dead trainers left is given back before its hour.
@Command(
    name = "free",
    header = "Free the shared memory of dead trainers whose saves are durable.",
    footer = {
      "",
      "Examples:",
      "  keepstone agent free --dry-run",
      "  keepstone agent free ckpts/gpt"
    })
final class AgentFree implements Verb {
  @Parameters(
      paramLabel = "STORE/RUN",
      arity = "0..1",
      description = "Of this run alone (default: of all).")
  @Nullable String where;

  @Option(names = "--dry-run", description = "Only tell what lies there.")
  boolean dryRun;

  @Override
  public Set<ExitCode> codes() {
    return EnumSet.of(
        ExitCode.DONE,
        ExitCode.FAILED,
        ExitCode.USAGE,
        ExitCode.PARTLY,
        ExitCode.NOT_FOUND,
        ExitCode.NO_AGENT);
  }

  @Override
  public Answer run(Console console) throws IOException {
    AgentSocket socket = AgentSocket.of(console.shell());
    String store = null;
    String run = null;
    if (where != null) {
      Reference named = Reference.parse(where, console.shell().host().disk());
      store = named.store().toAbsolutePath().normalize().toString();
      run = named.run().orElse("");
    }
    List<Json> listed = new ArrayList<>();
    for (SegmentStatus left : socket.ask(new Request.Status()).segments()) {
      boolean meant = run == null || (left.store().equals(store) && left.run().equals(run));
      if (!left.living() && meant) {
        console.say(
            left.run()
                + " rank "
                + left.rank()
                + ", step "
                + (left.step() == null ? "none" : left.step())
                + ", "
                + Units.size(left.bytes())
                + ": "
                + left.fate());
        listed.add(
            Json.object()
                .put("segment", left.segment())
                .put("run", left.run())
                .put("bytes", left.bytes())
                .put("fate", left.fate())
                .build());
      }
    }
    Free freed = dryRun ? new Free(0, listed.size()) : socket.ask(new Request.Free(store, run));
    if (!dryRun) {
      console.say(
          Units.size(freed.freed())
              + " freed"
              + (freed.kept() == 0 ? "" : "; " + freed.kept() + " are not durable yet and stay"));
    }
    return new Answer(
        Json.object()
            .put("segments", Json.array(listed))
            .put("freed", freed.freed())
            .put("kept", freed.kept())
            .put("dry_run", dryRun)
            .build(),
        null,
        dryRun || freed.kept() == 0 ? ExitCode.DONE : ExitCode.PARTLY);
  }
}
