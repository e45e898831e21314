package dev.keepstone.store.retention;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.fact.Mode;
import dev.keepstone.store.object.Fields;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/// What a user wants kept: a checkpoint stays where any of these rules keeps it. What is needed
/// stays besides, whatever the rules ([Retention]).
///
/// Its JSON stands in the wire's policy, in layouts, in tombs and in the journal
/// (docs/spec/store.md, section 8).
///
/// @param keepLast newest checkpoints on the line, ≥ 1; empty: all are kept
/// @param every for good, at these distances
/// @param best by a metric
/// @param first whether the first one stays
/// @param since what was saved at or after this moment stays
public record KeepRules(
    OptionalInt keepLast,
    List<Every> every,
    Optional<Best> best,
    boolean first,
    Optional<Instant> since) {
  private static final String ALL = "all";
  private static final Set<String> KNOWN =
      Set.of("keep_last", "keep_every", "keep_best", "monitor", "mode", "keep_first", "keep_since");

  public KeepRules {
    if (keepLast.isPresent() && keepLast.getAsInt() < 1) {
      throw new IllegalArgumentException("keep_last is at least 1, found " + keepLast.getAsInt());
    }
    every = List.copyOf(every);
  }

  /// The newest ones and nothing else.
  public static KeepRules last(int count) {
    return new KeepRules(
        OptionalInt.of(count), List.of(), Optional.empty(), false, Optional.empty());
  }

  /// How many checkpoints these rules keep at most, as far as they tell beforehand; the largest
  /// number where they keep all, or one every so often for good.
  public int most() {
    if (keepLast.isEmpty() || !every.isEmpty() || since.isPresent()) {
      return Integer.MAX_VALUE;
    }
    long most = (long) keepLast.getAsInt() + best.map(Best::count).orElse(0) + (first ? 1 : 0);
    return (int) Math.min(Integer.MAX_VALUE, most);
  }

  /// As it is stored and sent.
  public Json.Obj toJson() {
    Json.Builder fields = Json.object();
    if (keepLast.isPresent()) {
      fields.put("keep_last", keepLast.getAsInt());
    } else {
      fields.put("keep_last", ALL);
    }
    if (!every.isEmpty()) {
      fields.put("keep_every", Json.array(every.stream().map(one -> Json.of(one.text())).toList()));
    }
    best.ifPresent(found ->
        fields
            .put("keep_best", found.count())
            .put("monitor", found.monitor())
            .put("mode", found.mode().text()));
    if (first) {
      fields.put("keep_first", true);
    }
    since.ifPresent(moment -> fields.put("keep_since", moment.toString()));
    return fields.build();
  }

  /// Reads what [#toJson] writes; without `keep_last`, all are kept. A rule that is not known is
  /// refused: to pass over it would delete what it keeps.
  ///
  /// @throws JsonException where it is not written so
  public static KeepRules read(Json.Obj json) {
    for (String name : json.fields().keySet()) {
      if (!KNOWN.contains(name)) {
        throw new JsonException(
            "\"" + name + "\" is no rule of this Keepstone; a newer one may know it");
      }
    }
    try {
      return new KeepRules(
          keepLast(json),
          every(json),
          best(json),
          json.has("keep_first") && json.bool("keep_first"),
          json.has("keep_since")
              ? Optional.of(Fields.instant(json, "keep_since"))
              : Optional.empty());
    } catch (IllegalArgumentException e) {
      throw new JsonException(String.valueOf(e.getMessage()), e);
    }
  }

  private static OptionalInt keepLast(Json.Obj json) {
    if (!json.has("keep_last") || Json.of(ALL).equals(json.get("keep_last"))) {
      return OptionalInt.empty();
    }
    return OptionalInt.of(Fields.count(json, "keep_last", 1));
  }

  private static List<Every> every(Json.Obj json) {
    List<Every> every = new ArrayList<>();
    for (Json one : json.has("keep_every") ? json.array("keep_every") : List.<Json>of()) {
      if (!(one instanceof Json.Text(String text))) {
        throw new JsonException("field \"keep_every\": expected texts as in [\"1000steps\"]");
      }
      every.add(Every.parse(text));
    }
    return every;
  }

  private static Optional<Best> best(Json.Obj json) {
    int count = json.has("keep_best") ? Fields.count(json, "keep_best", 0) : 0;
    if (!json.has("monitor")) {
      if (count > 0) {
        throw new JsonException("keep_best needs a monitor: the metric to compare by");
      }
      return Optional.empty();
    }
    return Optional.of(
        new Best(
            count,
            json.text("monitor"),
            Mode.find(json.text("mode"))
                .orElseThrow(() ->
                    new JsonException(
                        "field \"mode\": expected min or max, found \""
                            + json.text("mode")
                            + "\""))));
  }

  /// What would keep a checkpoint, for people: `last 3, every 1000 steps`.
  public String words() {
    List<String> words = new ArrayList<>();
    words.add(lastWords());
    every.forEach(one -> words.add(one.words()));
    best.filter(found -> found.count() > 0).ifPresent(found -> words.add(bestWords(found)));
    if (first) {
      words.add("first");
    }
    since.ifPresent(moment -> words.add("since " + moment));
    return String.join(", ", words);
  }

  String lastWords() {
    return keepLast.isPresent() ? "last " + keepLast.getAsInt() : "all are kept";
  }

  static String bestWords(Best best) {
    return "best " + (best.count() == 1 ? "" : best.count() + " ") + "of " + best.monitor();
  }
}
