package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.Store;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone watch`: what happens in a run, line by line, read from the store alone.
@Command(
    name = "watch",
    header = "Follow a run: commits, metrics, pins, verdicts and deletions.%n",
    footer = {
      "",
      "Examples:",
      "  keepstone watch ckpts/gpt",
      "  keepstone watch ckpts/gpt --until-commit --for 1h --json"
    })
final class Watch implements Verb {
  private static final Duration LOOK_EVERY = Duration.ofSeconds(1);

  @Parameters(
      paramLabel = "STORE[/RUN]",
      arity = "0..1",
      defaultValue = ".",
      description = "The run, or a store that has one (default: the one around this folder).")
  String where = ".";

  @Option(
      names = "--for",
      paramLabel = "DURATION",
      converter = DurationOption.class,
      description = "End after that long, as in 90s, 30min, 6h (default: Ctrl-C).")
  @Nullable Duration limit;

  @Option(names = "--until-commit", description = "End with the next checkpoint committed.")
  boolean untilCommit;

  private final List<Json> events = new ArrayList<>();

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading();
  }

  @Override
  public Answer run(Console console) {
    Host host = console.shell().host();
    Reference named = Reference.parse(where, host.disk());
    Run run = Store.open(host, named.store()).run(named.run());
    View before = run.look();
    long begin = host.clock().nanos();
    boolean committed = false;
    while (!(untilCommit && committed)
        && !Thread.currentThread().isInterrupted()
        && (limit == null || host.clock().nanos() - begin < limit.toNanos())) {
      host.clock().pause(LOOK_EVERY);
      View now = run.look();
      committed |= compare(before, now, console);
      before = now;
    }
    return Answer.of(
        Json.object().put("run", run.name()).put("events", Json.array(events)).build());
  }

  /// Tells what one look saw that the look before did not.
  ///
  /// @return whether a checkpoint was committed
  private boolean compare(View before, View now, Console console) {
    boolean committed = false;
    for (CheckpointId id : now.standing()) {
      if (!before.manifests().containsKey(id)) {
        committed = true;
        tell("committed", id, Units.size(now.summary(id).bytes()), console);
      }
    }
    for (CheckpointId id : before.standing()) {
      if (!now.standing().contains(id)) {
        tell("purged", id, "", console);
        continue;
      }
      if (now.tombs().open(id).isPresent() && before.tombs().open(id).isEmpty()) {
        tell("announced", id, "for deletion", console);
      }
      if (now.tombs().open(id).isEmpty() && before.tombs().open(id).isPresent()) {
        tell("restored", id, "its deletion is called off", console);
      }
    }
    for (CheckpointId id : now.standing()) {
      facts(before, now, id, console);
    }
    return committed;
  }

  private void facts(View before, View now, CheckpointId id, Console console) {
    now.facts()
        .metrics(id)
        .fields()
        .forEach((name, value) -> {
          if (!value.equals(before.facts().metrics(id).get(name))) {
            tell("metric", id, name + " " + JsonWriter.compact(value), console);
          }
        });
    if (now.facts().pinned(id) != before.facts().pinned(id)) {
      tell(now.facts().pinned(id) ? "pinned" : "unpinned", id, "", console);
    }
    if (!now.facts().tagsOf(id).equals(before.facts().tagsOf(id))) {
      tell("tags", id, String.join(" ", now.facts().tagsOf(id)), console);
    }
    if (!now.facts().verdict(id).equals(before.facts().verdict(id))) {
      Fact.Verdict verdict = now.facts().verdict(id).orElseThrow();
      tell("verified", id, verdict.good() ? "good" : "bad: " + verdict.detail(), console);
    }
  }

  private void tell(String event, CheckpointId id, String words, Console console) {
    console.say(String.join(" ", event, id.toString(), words).strip());
    Json.Obj fields =
        Json.object()
            .put("at", console.shell().clock().instant().toString())
            .put("event", event)
            .put("id", id.toString())
            .put("detail", words)
            .build();
    // Nobody would read again at the end what was told as it came.
    if (console.json() && !console.event(fields)) {
      events.add(fields);
    }
  }
}
