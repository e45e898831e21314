package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.retention.Needs;
import dev.keepstone.store.retention.Plan;
import dev.keepstone.store.retention.Retention;
import dev.keepstone.store.run.Attempt;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// `keepstone du`: what takes the bytes of a store, and why they are kept.
@Command(
    name = "du",
    header = "Say what takes the bytes: by run, component, rule and age.",
    footer = {"", "Examples:", "  keepstone du ckpts", "  keepstone du ckpts/gpt --json"})
final class Du implements Verb {
  /// Upper ends of the groups of age.
  private static final List<Duration> AGES =
      List.of(Duration.ofDays(1), Duration.ofDays(7), Duration.ofDays(30));

  @Parameters(
      paramLabel = "STORE[/RUN]",
      arity = "0..1",
      defaultValue = ".",
      description = "A store, or one run of it (default: the store around this folder).")
  String where = ".";

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading();
  }

  /// Checkpoints and their bytes, added up under names.
  private static final class Sums {
    private final Map<String, long[]> sums;

    Sums(Map<String, long[]> sums) {
      this.sums = sums;
    }

    void add(String name, long bytes) {
      long[] sum = sums.computeIfAbsent(name, _ -> new long[2]);
      sum[0]++;
      sum[1] += bytes;
    }

    Json json(String name) {
      List<Json> array = new ArrayList<>();
      sums.forEach((key, sum) ->
          array.add(
              Json.object()
                  .put(name, key)
                  .put("checkpoints", sum[0])
                  .put("bytes", sum[1])
                  .build()));
      return Json.array(array);
    }

    void tell(String head, Console console) {
      Table table = new Table(console.columns(), "  ", "size>", "checkpoints>", head);
      sums.forEach((key, sum) -> table.row(Units.size(sum[1]), Units.count(sum[0]), key));
      table.lines().forEach(console::say);
    }
  }

  /// One run's bytes.
  private record Used(
      String run, int checkpoints, long bytes, long shared, Sums components, Sums kept, Sums ages) {
    Json.Obj json() {
      return Json.object()
          .put("run", run)
          .put("checkpoints", checkpoints)
          .put("bytes", bytes)
          .put("shared_bytes", shared)
          .put("components", components.json("component"))
          .put("kept", kept.json("reason"))
          .put("ages", ages.json("age"))
          .build();
    }
  }

  @Override
  public Answer run(Console console) {
    Host host = console.shell().host();
    Reference reference = Reference.parse(where, host.disk());
    if (!reference.which().equals(Which.LATEST)) {
      throw new KeepstoneException.Refused(
          "du adds up runs, and this names one checkpoint", where, "keepstone show " + where);
    }
    Store store = Store.open(host, reference.store());
    List<Used> runs = new ArrayList<>();
    for (String name : reference.run().map(List::of).orElseGet(store::runs)) {
      runs.add(used(store.run(Optional.of(name)), host));
    }
    long total = runs.stream().mapToLong(Used::bytes).sum();
    for (Used used : runs) {
      console.say(
          used.run
              + "   "
              + Units.count(used.checkpoints, "checkpoint")
              + " · "
              + Units.size(used.bytes)
              + (used.shared == 0 ? "" : " · " + Units.size(used.shared) + " more are shared"));
      used.components.tell("component", console);
      used.kept.tell("kept because", console);
      used.ages.tell("age", console);
      console.say("");
    }
    console.say(Units.size(total) + " in all");
    return Answer.of(
        Json.object()
            .put("store", store.path().toAbsolutePath().normalize().toString())
            .put("bytes", total)
            .put("runs", Json.array(runs.stream().map(Used::json).toList()))
            .build());
  }

  /// A checkpoint counts under the first reason that keeps it, so that the sums add up.
  private static Used used(Run run, Host host) {
    View view = run.lookDecided(host.clock());
    Map<CheckpointId, String> held = new TreeMap<>();
    run.holds().forEach(hold -> held.put(hold.id(), "a reader holds it"));
    KeepRules rules = Needs.policyOf(view).orElseGet(() -> KeepRules.read(Json.object().build()));
    Instant now = host.clock().instant();
    Sums components = new Sums(new TreeMap<>());
    Sums kept = new Sums(new LinkedHashMap<>());
    Sums ages = new Sums(new LinkedHashMap<>());
    long bytes = 0;
    long shared = 0;
    List<Plan.Entry> entries = Retention.plan(view, rules, held).entries();
    for (Plan.Entry entry : entries.reversed()) {
      CheckpointId id = entry.id();
      Manifest.Summary summary = view.summary(id);
      bytes += entry.bytes();
      shared += summary.usedBytes();
      kept.add(reason(view, entry), entry.bytes());
      ages.add(age(summary.created(), now), entry.bytes());
      components(run, id).forEach(components::add);
    }
    for (Attempt attempt : run.attempts(view)) {
      bytes += attempt.bytes();
      kept.add("incomplete", attempt.bytes());
      ages.add(age(null, now), attempt.bytes());
      components.add("incomplete", attempt.bytes());
    }
    int count = entries.size();
    return new Used(run.name(), count, bytes, shared, components, kept, ages);
  }

  private static Map<String, Long> components(Run run, CheckpointId id) {
    Map<String, Long> components = new TreeMap<>();
    run.findManifest(id)
        .ifPresent(manifest -> {
          for (Manifest.StoredFile file : manifest.files()) {
            String component = file.component();
            if (component != null && file.from() == null) {
              components.merge(component, file.bytes(), Long::sum);
            }
          }
        });
    return components;
  }

  private static String reason(View view, Plan.Entry entry) {
    if (view.tombs().open(entry.id()).isPresent()) {
      return "deletion announced";
    }
    return entry.action() == Plan.Action.KEEP ? entry.reasons().getFirst() : "no rule keeps it";
  }

  private static String age(@Nullable Instant created, Instant now) {
    if (created == null) {
      return "unknown";
    }
    Duration age = Duration.between(created, now);
    return AGES.stream()
        .filter(end -> age.compareTo(end) < 0)
        .findFirst()
        .map(end -> "under " + Units.duration(end))
        .orElse("older");
  }
}
