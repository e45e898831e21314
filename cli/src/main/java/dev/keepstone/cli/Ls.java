package dev.keepstone.cli;

import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.run.Damaged;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone ls`: runs and their checkpoints, newest first.
@Command(
    name = "ls",
    header = "List the runs of a store and their checkpoints, newest first.",
    footer = {"", "Examples:", "  keepstone ls ckpts", "  keepstone ls ckpts/gpt-small --json"})
final class Ls implements Verb {
  /// How many rows of a run are enough to see what is going on.
  private static final int ROWS = 50;

  @Parameters(
      paramLabel = "STORE[/RUN]",
      arity = "0..1",
      defaultValue = ".",
      description = "A store, or one run of it (default: the store around this folder).")
  String where = ".";

  @Option(names = "--all", description = "Every checkpoint, however many there are.")
  boolean all;

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading();
  }

  @Override
  public Answer run(Console console) {
    Reference reference = Reference.parse(where, console.shell().host().disk());
    if (!reference.which().equals(Which.LATEST)) {
      throw new KeepstoneException.Refused(
          "ls lists runs, and this names one checkpoint", where, "keepstone show " + where);
    }
    Store store = Store.open(console.shell().host(), reference.store());
    List<String> names = reference.run().map(List::of).orElseGet(store::runs);
    if (names.isEmpty()) {
      console.say("no runs yet in " + store.path());
    }
    List<Json> runs = new ArrayList<>();
    for (String name : names) {
      Run run = store.run(Optional.of(name));
      View view = run.lookDecided(console.shell().host().clock());
      int most = all || console.json() ? Integer.MAX_VALUE : ROWS;
      Listed.Newest checkpoints = Listed.of(run, view, most);
      if (!name.equals(names.getFirst())) {
        console.say("");
      }
      if (!console.json()) {
        tell(name, view, checkpoints, console);
      }
      if (console.json()) {
        runs.add(json(name, view, checkpoints.rows()));
      }
    }
    return Answer.of(Json.object().put("runs", Json.array(runs)).build());
  }

  private static Json.Obj json(String name, View view, List<Listed> checkpoints) {
    return Json.object()
        .put("run", name)
        .put("undecided", view.undecided())
        .put("checkpoints", Json.array(checkpoints, Listed::json))
        .put(
            "damaged",
            Json.array(
                view.damaged().stream()
                    .map(damaged ->
                        Json.object()
                            .put("file", damaged.name())
                            .put("what", damaged.why().what())
                            .build())
                    .toList()))
        .build();
  }

  /// The best one and its value, where the run says by which metric.
  private static Optional<String> best(View view) {
    Fact.Policy policy = view.facts().policy().orElse(null);
    String monitor = policy == null ? null : policy.monitor().orElse(null);
    if (policy == null || monitor == null) {
      return Optional.empty();
    }
    return view.best(monitor, policy.mode())
        .map(id ->
            " · best "
                + id
                + " "
                + monitor
                + " "
                + JsonWriter.compact(Objects.requireNonNull(view.metrics(id).get(monitor))));
  }

  private static void tell(String name, View view, Listed.Newest checkpoints, Console console) {
    Instant now = console.shell().clock().instant();
    StringBuilder head = new StringBuilder(name);
    head.append("   ").append(Units.count(checkpoints.complete(), "checkpoint"));
    head.append(" · ").append(Units.size(checkpoints.bytes()));
    view.latest().ifPresent(latest -> head.append(" · latest ").append(latest));
    checkpoints.rows().stream()
        .filter(listed -> view.latest().filter(listed.id()::equals).isPresent())
        .findFirst()
        .ifPresent(listed -> head.append(" (").append(ago(listed, now)).append(")"));
    best(view).ifPresent(head::append);
    console.say(Table.cut(head.toString(), console.columns()));
    if (view.undecided()) {
      console.say(
          "  start "
              + view.starts().newest().orElseThrow()
              + " has not chosen its parent yet: this is the line before it");
    }
    Table table =
        new Table(
            console.columns(),
            "  ",
            "id",
            "step>",
            "age>",
            "size>",
            "state",
            "health",
            "kept because");
    for (Listed listed : checkpoints.rows()) {
      Instant created = listed.created();
      table.row(
          listed.id().toString(),
          Long.toString(listed.id().step()),
          created == null ? "-" : Units.age(created, now),
          Units.size(listed.bytes()),
          listed.state(),
          listed.health(),
          String.join(", ", because(listed, now)));
    }
    table.lines().forEach(console::say);
    int shown = checkpoints.rows().size();
    if (shown < checkpoints.all()) {
      console.say("  … " + (checkpoints.all() - shown) + " more, --all");
    }
    for (Damaged damaged : view.damaged()) {
      console.say("  damaged  " + damaged.name() + ": " + damaged.why().what());
    }
  }

  private static String ago(Listed listed, Instant now) {
    Instant created = listed.created();
    String age = created == null ? "age unknown" : Units.age(created, now);
    return age.equals("now") || created == null ? age : age + " ago";
  }

  private static List<String> because(Listed listed, Instant now) {
    List<String> because = new ArrayList<>(listed.reasons());
    Instant freed = listed.freed();
    if (freed != null) {
      because.add(
          freed.isAfter(now)
              ? "freed in " + Units.duration(Duration.between(now, freed))
              : "freed when its deleter looks");
    }
    return because;
  }
}
