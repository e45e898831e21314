package dev.keepstone.cli;

import dev.keepstone.Store;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.store.lineage.Lineage.Link;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// `keepstone lineage`: the chain of starts and parents behind a checkpoint.
@Command(
    name = "lineage",
    header = "Show what a checkpoint came from: every start and parent behind it.",
    footer = {
      "",
      "Examples:",
      "  keepstone lineage ckpts/gpt@latest",
      "  keepstone lineage ckpts/gpt@3-500 --json"
    })
final class Lineage implements Verb {
  @Parameters(paramLabel = "REF", description = "STORE/RUN@WHICH.")
  String reference = "";

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading();
  }

  @Override
  public Answer run(Console console) {
    Reference named = Reference.parse(reference, console.shell().host().disk());
    Run run = Store.open(console.shell().host(), named.store()).run(named.run());
    View view = run.lookDecided(console.shell().host().clock());
    CheckpointId id = view.find(named.which());
    List<Link> chain = dev.keepstone.store.lineage.Lineage.of(run, view, id);
    for (Link link : chain) {
      tell(link, console);
    }
    Link first = chain.getLast();
    String origin =
        first.part().map(part -> part.provenance().get("imported_from")).orElse(null)
                instanceof Json.Text(String from)
            ? "imported from " + from
            : first.parentKnown() ? "a fresh start" : "not known: the decision is missing";
    console.say("origin  " + origin);
    return Answer.of(
        Json.object()
            .put("run", run.name())
            .put("id", id.toString())
            .put("chain", Json.array(chain.stream().map(Lineage::json).toList()))
            .put("origin", origin)
            .build());
  }

  private static void tell(Link link, Console console) {
    String saved = link.part().map(part -> ", sealed " + seconds(part.sealed())).orElse("");
    console.say(link.id() + "   " + link.standing().text() + ", step " + link.id().step() + saved);
    link.part()
        .ifPresent(part -> {
          for (Map.Entry<String, Json> field : part.provenance().fields().entrySet()) {
            String value =
                field.getValue() instanceof Json.Text(String text)
                    ? text
                    : JsonWriter.compact(field.getValue());
            console.say(Table.cut("    " + field.getKey() + ": " + value, console.columns()));
          }
        });
    String ranks =
        link.start()
            .map(start ->
                " of "
                    + Units.count(start.world(), "rank")
                    + ", "
                    + seconds(start.created())
                    + ", wanted "
                    + start.wanted().text())
            .orElse("");
    console.say("    saved by start " + link.id().start() + ranks);
    link.parent().ifPresent(parent -> console.say("  went on from"));
  }

  private static Instant seconds(Instant instant) {
    return instant.truncatedTo(ChronoUnit.SECONDS);
  }

  private static Json.Obj json(Link link) {
    return Json.object()
        .put("id", link.id().toString())
        .put("step", link.id().step())
        .put("state", link.standing().text())
        .put("created", link.part().map(part -> part.sealed().toString()).orElse(null))
        .put("start", link.start().<Json>map(Lineage::json).orElse(Json.NULL))
        .put("parent", link.parent().map(CheckpointId::toString).orElse(null))
        .put("metrics", link.part().<Json>map(part -> part.metrics()).orElse(Json.NULL))
        .put("provenance", link.part().<Json>map(part -> part.provenance()).orElse(Json.NULL))
        .build();
  }

  private static Json.Obj json(Start start) {
    return Json.object()
        .put("start", start.number())
        .put("created", start.created().toString())
        .put("world", start.world())
        .put("wanted", start.wanted().text())
        .build();
  }
}
