package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.deletion.Ages;
import dev.keepstone.store.deletion.Deletion;
import dev.keepstone.store.deletion.Garbage;
import dev.keepstone.store.deletion.Leftover;
import dev.keepstone.store.journal.Snapshots;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.retention.Plan;
import dev.keepstone.store.run.Run;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// `keepstone gc`: does away with what the dead left, and concludes old announced deletions.
@Command(
    name = "gc",
    header = "Remove what dead processes left, and conclude announced deletions.",
    description = {
      "Leftovers are told by their age, a day at least, in the eyes of who keeps the store;",
      "nothing that is not Keepstone's is ever touched."
    },
    footer = {
      "",
      "Examples:",
      "  keepstone gc ckpts --dry-run",
      "  keepstone gc ckpts/gpt --yes --json"
    })
final class Gc implements Verb {
  @Parameters(
      paramLabel = "STORE[/RUN]",
      arity = "0..1",
      defaultValue = ".",
      description = "A store, or one run of it (default: the store around this folder).")
  String where = ".";

  @Mixin Grace grace = new Grace();

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading(ExitCode.PARTLY, ExitCode.NO_SPACE, ExitCode.INTERRUPTED);
  }

  /// What is to be done about one run.
  private record Work(
      Run run,
      Deletion deletion,
      List<Leftover> leftovers,
      List<Plan.Entry> due,
      List<Planned> plan) {}

  @Override
  public Answer run(Console console) throws InterruptedException {
    Host host = console.shell().host();
    Reference reference = Reference.parse(where, host.disk());
    if (!reference.which().equals(Which.LATEST)) {
      throw new KeepstoneException.Refused(
          "gc cleans runs, and this names one checkpoint", where, "keepstone prune " + where);
    }
    Store store = Store.open(host, reference.store());
    List<Work> works = new ArrayList<>();
    for (String name : reference.run().map(List::of).orElseGet(store::runs)) {
      works.add(work(store.run(Optional.of(name)), console));
    }
    Instant now = host.clock().instant();
    List<Planned> all = new ArrayList<>();
    for (Work work : works) {
      if (!work.plan.isEmpty()) {
        console.say(work.run.name());
        Planned.tell(work.plan, now, console);
        all.addAll(work.plan);
      }
    }
    Waiting outcome = new Waiting(console);
    if (all.isEmpty()) {
      console.say("nothing to remove");
    } else if (grace.dryRun) {
      console.say(Units.size(Planned.bytes(all)) + " would be freed");
    } else {
      grace.agree(console, Units.size(Planned.bytes(all)) + " of leftovers are removed", where);
      for (Work work : works) {
        collect(work, outcome, host);
      }
      console.say(Units.size(outcome.freed()) + " freed");
    }
    return new Answer(json(works, outcome), null, outcome.code());
  }

  private Work work(Run run, Console console) {
    Host host = console.shell().host();
    String nonce = host.nonce();
    Ages ages = grace.dryRun ? Ages.guess(host.clock().instant()) : Ages.ask(run, nonce);
    Deletion deletion =
        new Deletion(run, host.clock(), Operator.of(run, console, nonce), grace.grace, ages);
    List<Leftover> leftovers = Garbage.find(run, ages);
    List<Plan.Entry> due = deletion.foretell();
    Instant now = host.clock().instant();
    List<Planned> plan = new ArrayList<>();
    due.forEach(entry -> plan.add(Planned.of(entry, now)));
    leftovers.forEach(leftover -> plan.add(planned(leftover, now)));
    return new Work(run, deletion, leftovers, due, plan);
  }

  private Planned planned(Leftover leftover, Instant now) {
    CheckpointId id = leftover.id().orElse(null);
    List<String> reasons = List.of(leftover.why());
    long bytes = leftover.bytes();
    return switch (leftover.kind()) {
      case FINISHABLE -> new Planned(id, null, Plan.Action.KEEP, reasons, bytes, null);
      case UNDECIDED -> new Planned(null, leftover.name(), Plan.Action.KEEP, reasons, bytes, null);
      case ATTEMPT ->
          new Planned(id, null, Plan.Action.DELETE, reasons, bytes, now.plus(grace.grace));
      case PURGED -> new Planned(id, null, Plan.Action.DELETE, reasons, bytes, now);
      case ORPHAN, TEMPORARY, HOLD ->
          new Planned(id, leftover.name(), Plan.Action.DELETE, reasons, bytes, now);
    };
  }

  private void collect(Work work, Waiting outcome, Host host) throws InterruptedException {
    Set<CheckpointId> due = new HashSet<>();
    work.due.forEach(entry -> due.add(entry.id()));
    outcome.tell(work.deletion.round(due));
    Deletion.Collected collected = work.deletion.collect(work.leftovers);
    outcome.freed(collected.bytes());
    outcome.tell(collected.events());
    Snapshots.takeWhenDue(work.run, host.clock());
    if (grace.wait) {
      outcome.await(work.deletion, work.deletion.open(), grace.grace, host.clock());
    }
  }

  private Json.Obj json(List<Work> works, Waiting outcome) {
    List<Json> runs = new ArrayList<>();
    List<Planned> all = new ArrayList<>();
    for (Work work : works) {
      all.addAll(work.plan);
      runs.add(
          Json.object().put("run", work.run.name()).put("plan", Planned.json(work.plan)).build());
    }
    return Json.object()
        .put("plan", Planned.json(all))
        .put("runs", Json.array(runs))
        .put("freed", outcome.freed())
        .put("dry_run", grace.dryRun)
        .build();
  }
}
