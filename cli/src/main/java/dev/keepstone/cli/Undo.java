package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.object.Names.TombName;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.retention.Plan;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone undo`: announced deletions are taken back.
@Command(
    name = "undo",
    header = "Take announced deletions back, as long as nothing is freed.",
    footer = {
      "",
      "Examples:",
      "  keepstone undo ckpts/gpt",
      "  keepstone undo ckpts/gpt@3-500 3-600 --dry-run"
    })
final class Undo implements Verb {
  @Parameters(
      index = "0",
      paramLabel = "STORE/RUN[@ID]",
      description = "The run, or one checkpoint of it.")
  String target = "";

  @Parameters(index = "1..*", paramLabel = "ID", description = "Further checkpoints of it.")
  List<String> more = List.of();

  @Option(names = "--dry-run", description = "Say what would happen, and do nothing.")
  boolean dryRun;

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading(ExitCode.PARTLY, ExitCode.NO_SPACE, ExitCode.UNKNOWN);
  }

  @Override
  public Answer run(Console console) {
    Host host = console.shell().host();
    Reference reference = Reference.parse(target, host.disk());
    Run run = Store.open(host, reference.store()).run(reference.run());
    Set<CheckpointId> named = named(reference);
    View view = run.look();
    List<TombName> open = dev.keepstone.store.deletion.Undo.open(view.tombs(), named);
    requireOpen(run, view, named, open);
    List<Planned> plan = new ArrayList<>();
    for (TombName tomb : open) {
      String why = run.tomb(tomb).map(Tomb::why).orElse("its tomb is gone");
      long bytes = view.manifests().containsKey(tomb.id()) ? view.summary(tomb.id()).ownBytes() : 0;
      plan.add(
          new Planned(
              tomb.id(),
              null,
              Plan.Action.KEEP,
              List.of("taken back: was to be deleted, " + why),
              bytes,
              null));
    }
    Planned.tell(plan, host.clock().instant(), console);
    int late = 0;
    if (open.isEmpty()) {
      console.say("no deletion is announced");
    } else if (!dryRun) {
      for (var undone :
          dev.keepstone.store.deletion.Undo.undo(
              run, open, Operator.of(run, console, host.nonce()))) {
        if (!undone.stays()) {
          late++;
          console.note(undone.tomb().id() + " was deleted just before");
        }
      }
      console.say(
          Units.count(open.size() - (long) late, "checkpoint") + " kept; pin what is to stay");
    }
    return new Answer(
        Json.object()
            .put("run", run.name())
            .put("plan", Planned.json(plan))
            .put("freed", 0)
            .put("dry_run", dryRun)
            .build(),
        null,
        late == 0 ? ExitCode.DONE : ExitCode.PARTLY);
  }

  private Set<CheckpointId> named(Reference reference) {
    Set<CheckpointId> named = new TreeSet<>();
    List<Which> words = new ArrayList<>();
    if (!reference.which().equals(Which.LATEST)) {
      words.add(reference.which());
    }
    more.forEach(word -> words.add(Which.parse(word, target + " " + word)));
    for (Which which : words) {
      if (!(which instanceof Which.Id(CheckpointId id))) {
        throw new KeepstoneException.Refused(
            "\"" + which.text() + "\" is no id", target, "name ids as in 3-500, or none for all");
      }
      named.add(id);
    }
    return named;
  }

  private static void requireOpen(
      Run run, View view, Set<CheckpointId> named, List<TombName> open) {
    for (CheckpointId id : named) {
      if (open.stream().noneMatch(tomb -> tomb.id().equals(id))) {
        throw new KeepstoneException.NotFound(
            run.tombs(id).purged(id)
                ? id + " has been deleted, and its bytes are gone"
                : view.manifests().containsKey(id)
                    ? id + " is not announced for deletion"
                    : "there is no checkpoint " + id,
            run.tier().describe(run.name()) + "@" + id,
            "keepstone ls " + run.tier().describe(run.name()) + " shows what is announced");
      }
    }
  }
}
