package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.deletion.Ages;
import dev.keepstone.store.deletion.Deletion;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.retention.Needs;
import dev.keepstone.store.retention.Plan;
import dev.keepstone.store.retention.Retention;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// `keepstone prune`: announces the deletion of what rules do not keep, or of what is named.
@Command(
    name = "prune",
    header = "Delete checkpoints by rules, or those named; each with its reason.",
    description = {
      "Without rules, those of the run itself decide. What is needed stays whatever is asked:",
      "the latest, the newest healthy and the newest deeply verified, the best by the run's",
      "rules, what is pinned, tagged, read, used, or gone on from."
    },
    footer = {
      "",
      "Examples:",
      "  keepstone prune ckpts/gpt --keep-last 3 --keep-every 1000steps --dry-run",
      "  keepstone prune ckpts/gpt@3-500 3-600 --grace 1h --yes"
    })
final class Prune implements Verb {
  @Parameters(index = "0", paramLabel = "STORE/RUN[@WHICH]", description = "The run.")
  String target = "";

  @Parameters(index = "1..*", paramLabel = "WHICH", description = "Further checkpoints of it.")
  List<String> more = List.of();

  @Mixin RuleOptions rules = new RuleOptions();
  @Mixin Grace grace = new Grace();

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading(
        ExitCode.PARTLY, ExitCode.BUSY, ExitCode.NO_SPACE, ExitCode.INTERRUPTED);
  }

  @Override
  public Answer run(Console console) throws InterruptedException {
    Host host = console.shell().host();
    Reference reference = Reference.parse(target, host.disk());
    Run run = Store.open(host, reference.store()).run(reference.run());
    View view = run.lookDecided(host.clock());
    requireDecided(run, view);
    Set<CheckpointId> named = named(reference, view);
    Deletion deletion =
        new Deletion(
            run,
            host.clock(),
            Operator.of(run, console, host.nonce()),
            grace.grace,
            Ages.unknown());
    Wish wish;
    Plan plan;
    if (named.isEmpty()) {
      KeepRules keep = rules(view, host.clock().instant());
      wish = new Wish.Rules(keep.toJson());
      plan = Retention.plan(view, keep, deletion.held());
      console.say(run.name() + ": keeping " + keep.words());
    } else {
      wish = new Wish.Named();
      plan = onlyNamed(Retention.planNamed(view, named, deletion.held()), named);
    }
    plan.warnings().forEach(warning -> console.note("warning: " + warning));
    Waiting outcome = new Waiting(console);
    Instant now = host.clock().instant();
    List<Planned> planned =
        plan.entries().stream().map(entry -> Planned.of(entry, now.plus(grace.grace))).toList();
    if (!console.json()) {
      Planned.tell(planned, now, console);
    }
    boolean spared = plan.deletions().size() < named.size();
    if (plan.deletions().isEmpty()) {
      console.say("nothing to delete");
    } else if (grace.dryRun) {
      console.say(summary(plan) + " would be deleted, and " + grace.freed());
    } else {
      grace.agree(console, summary(plan) + " are deleted", target);
      outcome.tell(deletion.announce(plan, wish));
      if (grace.wait) {
        outcome.await(deletion, ids(plan), grace.grace, host.clock());
        console.say(Units.size(outcome.freed()) + " freed");
      } else {
        console.say(summary(plan) + " announced: " + grace.freed());
        console.say(
            "keepstone undo " + run.tier().describe(run.name()) + " takes it back until then");
      }
    }
    return new Answer(
        json(run, planned, plan, outcome), null, spared ? ExitCode.PARTLY : outcome.code());
  }

  private Json.Obj json(Run run, List<Planned> planned, Plan plan, Waiting outcome) {
    return Json.object()
        .put("run", run.name())
        .put("plan", Planned.json(planned))
        .put("warnings", Json.array(plan.warnings().stream().map(Json::of).toList()))
        .put("freed", outcome.freed())
        .put("dry_run", grace.dryRun)
        .build();
  }

  private static void requireDecided(Run run, View view) {
    if (!view.starts().damaged().isEmpty()) {
      throw view.starts().damaged().getFirst().why();
    }
    if (view.undecided()) {
      throw new KeepstoneException.Busy(
          "start " + view.starts().newest().orElse(0) + " is choosing what it goes on from",
          run.tier().describe(run.name()),
          "try again in a minute");
    }
  }

  private Set<CheckpointId> named(Reference reference, View view) {
    List<Which> which = new ArrayList<>();
    if (target.endsWith("@" + reference.which().text())) {
      which.add(reference.which());
    }
    more.forEach(word -> which.add(Which.parse(word, target + " " + word)));
    if (!which.isEmpty() && rules.any()) {
      throw new KeepstoneException.Refused(
          "checkpoints are named and rules are given", target, "ask for one or for the other");
    }
    return which.stream().map(view::find).collect(Collectors.toCollection(TreeSet::new));
  }

  private KeepRules rules(View view, Instant now) {
    if (rules.any()) {
      return rules.read(now);
    }
    Optional<KeepRules> policy = Needs.policyOf(view);
    return policy.orElseThrow(() ->
        new KeepstoneException.Refused(
            "the run has no rules of its own, and none were given",
            target,
            "say what is to be kept, as in --keep-last 3"));
  }

  private static Plan onlyNamed(Plan plan, Set<CheckpointId> named) {
    return new Plan(
        plan.entries().stream().filter(entry -> named.contains(entry.id())).toList(),
        plan.warnings());
  }

  private static Set<CheckpointId> ids(Plan plan) {
    return plan.deletions().stream().map(Plan.Entry::id).collect(Collectors.toSet());
  }

  private static String summary(Plan plan) {
    return Units.count(plan.deletions().size(), "checkpoint")
        + " of "
        + Units.size(plan.deletions().stream().mapToLong(Plan.Entry::bytes).sum());
  }
}
