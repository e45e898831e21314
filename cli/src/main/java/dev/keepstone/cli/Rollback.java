package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import dev.keepstone.store.verify.Problem;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone rollback`: an earlier checkpoint becomes the latest.
@Command(
    name = "rollback",
    header = "Make an earlier checkpoint the latest; nothing is deleted.",
    footer = {
      "",
      "Examples:",
      "  keepstone rollback ckpts/gpt --to 3-500 --dry-run",
      "  keepstone rollback ckpts/gpt --to latest~1 --yes"
    })
final class Rollback implements Verb {
  private static final int MOST_NAMED = 8;

  @Parameters(paramLabel = "STORE/RUN", description = "The run.")
  String target = "";

  @Option(
      names = "--to",
      paramLabel = "WHICH",
      defaultValue = "latest~1",
      description =
          "What becomes the latest (default: ${DEFAULT-VALUE}); an id may be off the line.")
  String to = "";

  @Option(names = "--dry-run", description = "Say what would happen, and do nothing.")
  boolean dryRun;

  @Option(names = "--yes", description = "Do not ask. A trainer that still runs is fenced.")
  boolean yes;

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading(ExitCode.NO_SPACE, ExitCode.UNKNOWN);
  }

  @Override
  public Answer run(Console console) {
    Host host = console.shell().host();
    Reference named = Reference.parse(target, host.disk());
    if (!named.which().equals(Which.LATEST)) {
      throw new KeepstoneException.Refused(
          "a run goes back, not a checkpoint", target, "name the checkpoint with --to");
    }
    Run run = Store.open(host, named.store()).run(named.run());
    View view = run.lookDecided(host.clock());
    CheckpointId id = view.find(Which.parse(to, target + " --to " + to));
    requireSound(run, view, id);
    var plan = dev.keepstone.store.start.Rollback.plan(view, id);
    if (plan.leaves().isEmpty() && plan.from().equals(Optional.of(id))) {
      console.say(run.name() + ": " + id + " is the latest already");
      return answer(run, plan, 0);
    }
    tell(run, plan, console);
    if (dryRun) {
      return answer(run, plan, 0);
    }
    String risk =
        "going back fences the trainer of start " + plan.fences() + ", where it still runs";
    if (!yes && !console.confirm(risk + ". Go back?")) {
      throw new KeepstoneException.Refused(
          risk,
          run.tier().describe(run.name()),
          "the same with --yes does it, with --dry-run only says it");
    }
    int start = plan.execute(run, host.clock(), host.token());
    console.say("done: start " + start + " goes on from " + id + ", which is the latest now");
    return answer(run, plan, start);
  }

  private static void requireSound(Run run, View view, CheckpointId id) {
    List<Problem> problems = dev.keepstone.store.verify.Verify.quick(run, id).problems();
    if (!problems.isEmpty()) {
      Problem first = problems.getFirst();
      throw new KeepstoneException.Integrity(
          "it is not whole: expected " + first.expected() + ", found " + first.found(),
          first.file(),
          "go back to another");
    }
    if (view.quarantined(id)) {
      throw new KeepstoneException.Integrity(
          "a verification found it bad",
          run.tier().describe(run.name()) + "@" + id,
          "keepstone verify --deep lifts that where it is good again; or go back to another");
    }
  }

  private static void tell(Run run, dev.keepstone.store.start.Rollback plan, Console console) {
    console.say(
        run.name()
            + ": latest "
            + plan.from().map(CheckpointId::toString).orElse("none")
            + " → "
            + plan.to());
    if (!plan.leaves().isEmpty()) {
      String named =
          plan.leaves().reversed().stream()
              .limit(MOST_NAMED)
              .map(CheckpointId::toString)
              .collect(Collectors.joining(" "));
      int more = plan.leaves().size() - MOST_NAMED;
      console.say("leave the line  " + named + (more > 0 ? " … " + more + " more" : ""));
      console.say("nothing is deleted: each stays until it is deleted by name");
    }
  }

  private Answer answer(Run run, dev.keepstone.store.start.Rollback plan, int start) {
    return Answer.of(
        Json.object()
            .put("run", run.name())
            .put("from", plan.from().map(CheckpointId::toString).orElse(null))
            .put("to", plan.to().toString())
            .put("start", start == 0 ? Json.NULL : Json.of(start))
            .put(
                "leaves",
                Json.array(plan.leaves().stream().map(id -> Json.of(id.toString())).toList()))
            .put("dry_run", dryRun)
            .build());
  }
}
