package dev.keepstone.cli;

import dev.keepstone.Store;
import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Decision;
import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone show`: all that is known of one checkpoint but its tensors.
@Command(
    name = "show",
    header = "Show one checkpoint: what it holds, where it came from, who can load it.",
    footer = {
      "",
      "Examples:",
      "  keepstone show ckpts/gpt@latest",
      "  keepstone show ckpts/gpt@3-500 --health"
    })
final class Show implements Verb {
  @Parameters(paramLabel = "REF", description = "STORE/RUN@WHICH.")
  String reference = "";

  @Option(
      names = "--health",
      description = "Also each tensor's non-finite elements, range and norm, the worst first.")
  boolean health;

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
    Listed listed = Listed.of(run, view, id);
    Manifest manifest = run.manifest(id);
    List<Part> parts = run.parts(manifest);
    Optional<String> parent = run.decision(id.start()).flatMap(Show::parent);
    Optional<String> whyNot = whyNotLoadable(manifest, parts);

    tell(run, view, listed, manifest, parts, parent, whyNot, console);
    Json.Builder fields = Json.object().put("run", run.name());
    listed.json().fields().forEach(fields::put);
    List<TensorHealth> tensors = health ? TensorHealth.of(parts) : List.of();
    if (health) {
      TensorHealth.tell(tensors, console);
      fields.put("tensor_health", Json.array(tensors.stream().map(TensorHealth::json).toList()));
    }
    return Answer.of(
        fields
            .put("tensors", manifest.summary().tensors())
            .put("components", Json.array(components(parts).stream().map(Json::of).toList()))
            .put("ranks", manifest.summary().world())
            .put("shards", Json.array(shards(parts)))
            .put("stall_ms", stall(parts))
            .put("parent", parent.orElse(null))
            .put("provenance", parts.getFirst().provenance())
            .put("loadable_as_is", whyNot.isEmpty())
            .put("why_not", whyNot.orElse(null))
            .put("undecided", view.undecided())
            .build());
  }

  private static void tell(
      Run run,
      View view,
      Listed listed,
      Manifest manifest,
      List<Part> parts,
      Optional<String> parent,
      Optional<String> whyNot,
      Console console) {
    Instant created = listed.created();
    String age =
        created == null
            ? ""
            : ", sealed "
                + created.truncatedTo(ChronoUnit.SECONDS)
                + " ("
                + Units.age(created, console.shell().clock().instant())
                + ")";
    console.say(run.name() + "@" + listed.id() + "   step " + listed.id().step() + age);
    if (view.undecided()) {
      console.say("line        the newest start has not chosen its parent yet");
    }
    console.say(
        "state       "
            + listed.state()
            + ", health "
            + listed.health()
            + (listed.reasons().isEmpty() ? "" : ", " + String.join(", ", listed.reasons())));
    console.say(
        "size        "
            + Units.size(listed.bytes())
            + used(manifest.summary())
            + " in "
            + Units.count(manifest.summary().tensors(), "tensor")
            + " by "
            + Units.count(manifest.summary().world(), "rank"));
    console.say("components  " + String.join(", ", components(parts)));
    console.say("parent      " + parent.orElse("none: a fresh start"));
    if (!listed.metrics().fields().isEmpty()) {
      console.say("metrics     " + JsonWriter.compact(listed.metrics()));
    }
    String note = listed.marks().note();
    if (note != null) {
      console.say("note        " + note);
    }
    console.say("stall       " + String.format(Locale.ROOT, "%.1f ms", stall(parts)));
    Double durable = listed.marks().durableMs();
    if (durable != null) {
      console.say("durable     " + String.format(Locale.ROOT, "after %.1f ms", durable));
    }
    for (Map.Entry<String, Json> line : parts.getFirst().provenance().fields().entrySet()) {
      console.say(
          String.format(
              Locale.ROOT,
              "%-12s%s",
              line.getKey(),
              line.getValue() instanceof Json.Text(String text)
                  ? text
                  : JsonWriter.compact(line.getValue())));
    }
    console.say("folder      " + run.tier().describe(run.names().checkpoint(listed.id())));
    console.say(
        "loadable    "
            + whyNot
                .map(why -> "not as it lies: " + why)
                .orElse("as it lies, by weights-only readers"));
    console.say("");
    Table table = new Table(console.columns(), "", "shard", "component", "size>", "crc32");
    for (Part part : parts) {
      for (ShardReceipt shard : part.shards()) {
        table.row(
            shard.path(), shard.component(), Units.size(shard.bytes()), Crc32.hex(shard.crc32()));
      }
    }
    table.lines().forEach(console::say);
  }

  private static String used(Manifest.Summary summary) {
    return summary.usedBytes() == 0
        ? ""
        : " ("
            + Units.size(summary.ownBytes())
            + " here, the rest in "
            + String.join(", ", summary.uses().stream().map(CheckpointId::toString).toList())
            + ")";
  }

  private static Optional<String> parent(Decision decision) {
    return switch (decision.parent()) {
      case Parent.Of(CheckpointId id) -> Optional.of(id.toString());
      case Parent.Fresh() -> Optional.empty();
      case Parent.Void() -> Optional.empty();
    };
  }

  /// Why weights-only readers cannot load the folder as it lies; empty where they can.
  private static Optional<String> whyNotLoadable(Manifest manifest, List<Part> parts) {
    if (components(parts).isEmpty()) {
      return Optional.of("it holds no tensors");
    }
    String component = components(parts).contains("model") ? "model" : components(parts).first();
    for (Part part : parts) {
      for (ShardReceipt shard : part.shards()) {
        if (!shard.component().equals(component)) {
          continue;
        }
        if (!shard.whole()) {
          return Optional.of(
              "tensors of " + component + " lie in pieces, `keepstone export` makes them whole");
        }
        if (shard.from() != null) {
          return Optional.of(
              "tensors of "
                  + component
                  + " lie in the folder of "
                  + shard.from()
                  + ", which has stored them before, `keepstone export` brings them together");
        }
      }
    }
    String index = Names.index(component);
    return manifest.files().stream().anyMatch(file -> file.file().equals(index))
        ? Optional.empty()
        : Optional.of("there is no " + index + ", `keepstone export` makes a folder that has one");
  }

  private static TreeSet<String> components(List<Part> parts) {
    TreeSet<String> components = new TreeSet<>();
    parts.forEach(part -> part.shards().forEach(shard -> components.add(shard.component())));
    return components;
  }

  private static List<Json> shards(List<Part> parts) {
    return parts.stream()
        .flatMap(part -> part.shards().stream())
        .<Json>map(shard ->
            Json.object()
                .put("file", shard.file())
                .put("from", shard.from() == null ? null : shard.from().toString())
                .put("component", shard.component())
                .put("bytes", shard.bytes())
                .put("crc32", Crc32.hex(shard.crc32()))
                .build())
        .toList();
  }

  /// The longest of all ranks: what the step took longer.
  private static double stall(List<Part> parts) {
    return parts.stream().mapToDouble(Part::stallMs).max().orElse(0);
  }
}
