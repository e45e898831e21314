package dev.keepstone.store.retention;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.fact.Facts;
import dev.keepstone.store.fact.Stamp;
import dev.keepstone.store.fact.Stamped;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.manifest.Manifest.Soundness;
import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.StartsSeen;
import dev.keepstone.store.run.TombsSeen;
import dev.keepstone.store.run.TombsSeen.Standing;
import dev.keepstone.store.run.View;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/// What happened to a run, told line by line: `1-100 loss=2.5 suspect`, and the view that a look
/// has of it.
///
/// A checkpoint's words: `name=value` a metric of the save (`nan`, `inf`), `report:name=value` a
/// later one, `suspect`, `unknown`, `bad` and `verified` a verdict, `pinned`, `unpinned`,
/// `tag:name`, `at:minutes` when it was saved (else one hour after the one before), `timeless`,
/// `tomb`, `uses:id`. Other lines: `start 2 from 1-100`, `start 3 fresh`, `start 4 undecided`,
/// `policy <rules>`.
final class Story {
  static final Instant BEGIN = Instant.parse("2026-11-24T00:00:00Z");
  private static final String UID = "6f1c0e5a9d0b4b7e8c2d3f4a5b6c7d8e";

  private final NavigableMap<CheckpointId, Manifest.Summary> manifests = new TreeMap<>();
  private final NavigableMap<Integer, Parent> starts = new TreeMap<>();
  private final Map<CheckpointId, NavigableMap<Integer, Standing>> tombs = new HashMap<>();
  private final List<Stamped<?>> facts = new ArrayList<>();
  private int undecided;
  private Instant clock = BEGIN;

  private Story() {
    starts.put(1, new Parent.Fresh());
  }

  static Story of(String text) {
    Story story = new Story();
    text.lines().map(String::strip).filter(line -> !line.isEmpty()).forEach(story::tell);
    return story;
  }

  /// Rules, written as their JSON without the outer braces and quotes around names.
  static KeepRules rules(String text) {
    String json = "{" + text.replaceAll("([a-z_]+):", "\"$1\":").replace('\'', '"') + "}";
    return KeepRules.read(JsonReader.readObject(json.getBytes(StandardCharsets.UTF_8)));
  }

  private void tell(String line) {
    String[] words = line.split(" ");
    switch (words[0]) {
      case "start" -> start(Integer.parseInt(words[1]), words);
      case "policy" -> fact(new Fact.Policy(rules(line.substring(7)).toJson()));
      default -> checkpoint(CheckpointId.parse(words[0]), words);
    }
  }

  private void start(int number, String[] words) {
    switch (words[2]) {
      case "undecided" -> undecided = number;
      case "fresh" -> starts.put(number, new Parent.Fresh());
      default -> starts.put(number, new Parent.Of(CheckpointId.parse(words[3])));
    }
  }

  private void checkpoint(CheckpointId id, String[] words) {
    clock = clock.plus(Duration.ofHours(1));
    Instant created = clock;
    Json.Builder metrics = Json.object();
    Soundness health = Soundness.OK;
    List<CheckpointId> uses = new ArrayList<>();
    for (int i = 1; i < words.length; i++) {
      String word = words[i];
      int colon = word.indexOf(':');
      String rest = word.substring(colon + 1);
      switch (colon < 0 ? word : word.substring(0, colon)) {
        case "suspect" -> health = Soundness.SUSPECT;
        case "unknown" -> health = Soundness.UNKNOWN;
        case "bad" -> fact(new Fact.Verdict(id, true, false, "bytes differ"));
        case "verified" -> fact(new Fact.Verdict(id, true, true, ""));
        case "pinned" -> fact(new Fact.Pin(id, true, ""));
        case "unpinned" -> fact(new Fact.Pin(id, false, ""));
        case "tag" -> fact(new Fact.Tag(rest, Optional.of(id)));
        case "at" -> {
          clock = BEGIN.plus(Duration.ofMinutes(Long.parseLong(rest)));
          created = clock;
        }
        case "timeless" -> created = null;
        case "tomb" -> tombs.computeIfAbsent(id, _ -> new TreeMap<>()).put(1, Standing.OPEN);
        case "uses" -> uses.add(CheckpointId.parse(rest));
        case "report" -> fact(new Fact.Metrics(id, metric(Json.object(), rest).build()));
        default -> metric(metrics, word);
      }
    }
    save(id, health, metrics.build(), uses, created);
  }

  private static Json.Builder metric(Json.Builder metrics, String word) {
    String[] pair = word.split("=");
    return switch (pair[1]) {
      case "nan", "inf", "-inf" ->
          metrics.put(pair[0], Json.object().put("~", "float").put("v", pair[1]).build());
      default -> metrics.put(pair[0], Double.parseDouble(pair[1]));
    };
  }

  private void save(
      CheckpointId id,
      Soundness health,
      Json.Obj metrics,
      List<CheckpointId> uses,
      @Nullable Instant created) {
    manifests.put(
        id, new Manifest.Summary(UID, id, 1, metrics, 1, 100, 0, 2, health, uses, created));
  }

  private void fact(Fact fact) {
    Stamp stamp = new Stamp(BEGIN.plusMillis(facts.size() + 1), "0000000a", facts.size() + 1, 0);
    facts.add(new Stamped<>(stamp, "test", fact));
  }

  /// The same run without these checkpoints.
  Story without(List<CheckpointId> gone) {
    gone.forEach(manifests::remove);
    return this;
  }

  View view() {
    return view(facts);
  }

  /// The view of who read these facts, in this order.
  View view(List<Stamped<?>> read) {
    TreeSet<Integer> announced = new TreeSet<>(starts.keySet());
    if (undecided > 0) {
      announced.add(undecided);
    }
    return new View(
        "run",
        manifests,
        new StartsSeen(announced, starts, List.of()),
        new TombsSeen(tombs, Set.of(), List.of()),
        Facts.of(read),
        List.of());
  }

  List<Stamped<?>> facts() {
    return List.copyOf(facts);
  }
}
