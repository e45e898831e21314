package dev.keepstone.store.fact;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.object.Names.BatchName;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.SortedMap;
import java.util.TreeMap;

/// Exactly which batches are contained in something: per writer, ranges of their numbers. A batch
/// whose put was slow may arrive after later ones, so that the highest number alone would not tell.
///
/// It does not change.
public final class Covers {
  /// No batch.
  public static final Covers NONE = new Covers(new TreeMap<>());

  /// Per writer, the last number of each range by its first; ranges neither touch nor overlap.
  private final SortedMap<String, NavigableMap<Long, Long>> ranges;

  private Covers(SortedMap<String, NavigableMap<Long, Long>> ranges) {
    this.ranges = ranges;
  }

  /// Whether a batch is contained.
  public boolean has(BatchName name) {
    NavigableMap<Long, Long> own = ranges.get(name.writer());
    Map.Entry<Long, Long> range = own == null ? null : own.floorEntry(name.sequence());
    return range != null && range.getValue() >= name.sequence();
  }

  /// The highest number of a writer's batches that are contained; 0 for none.
  public long last(String writer) {
    NavigableMap<Long, Long> own = ranges.get(writer);
    return own == null ? 0 : own.lastEntry().getValue();
  }

  /// These batches besides.
  public Covers with(Collection<BatchName> names) {
    SortedMap<String, NavigableMap<Long, Long>> more = new TreeMap<>(ranges);
    names.stream()
        .map(BatchName::writer)
        .distinct()
        .forEach(writer ->
            more.compute(
                writer, (same, own) -> own == null ? new TreeMap<>() : new TreeMap<>(own)));
    for (BatchName name : names) {
      add(
          more.getOrDefault(name.writer(), Collections.emptyNavigableMap()),
          name.sequence(),
          name.sequence());
    }
    return new Covers(more);
  }

  /// What either contains.
  public Covers with(Covers other) {
    SortedMap<String, NavigableMap<Long, Long>> more = new TreeMap<>(ranges);
    other.ranges.forEach((writer, theirs) -> {
      NavigableMap<Long, Long> own =
          new TreeMap<>(more.getOrDefault(writer, Collections.emptyNavigableMap()));
      theirs.forEach((first, last) -> add(own, first, last));
      more.put(writer, own);
    });
    return new Covers(more);
  }

  /// Joins a range with those that it touches.
  private static void add(NavigableMap<Long, Long> own, long from, long to) {
    long first = from;
    long last = to;
    Map.Entry<Long, Long> before = own.floorEntry(first);
    if (before != null && before.getValue() >= first - 1) {
      first = before.getKey();
      last = Math.max(last, before.getValue());
    }
    NavigableMap<Long, Long> touched = own.subMap(first, true, last + 1, true);
    if (!touched.isEmpty()) {
      last = Math.max(last, touched.lastEntry().getValue());
      touched.clear();
    }
    own.put(first, last);
  }

  Json.Obj toJson() {
    Json.Builder writers = Json.object();
    ranges.forEach((writer, own) -> {
      List<Json> pairs = new ArrayList<>();
      own.forEach((first, last) -> pairs.add(Json.integers(List.of(first, last))));
      writers.put(writer, Json.array(pairs));
    });
    return writers.build();
  }

  static Covers read(Json.Obj json) {
    SortedMap<String, NavigableMap<Long, Long>> ranges = new TreeMap<>();
    for (String writer : json.fields().keySet()) {
      NavigableMap<Long, Long> own = new TreeMap<>();
      long above = 0;
      for (Json pair : json.array(writer)) {
        if (!(pair instanceof Json.Array(List<Json> two))
            || two.size() != 2
            || !(two.get(0) instanceof Json.Int(long first))
            || !(two.get(1) instanceof Json.Int(long last))
            || first <= above
            || last < first) {
          throw new JsonException(
              "field \"covers\": expected ascending pairs of a first and a last number of "
                  + writer);
        }
        // Names of batches, so that a range holds no number that no batch can have.
        own.put(new BatchName(writer, first).sequence(), new BatchName(writer, last).sequence());
        above = last;
      }
      ranges.put(writer, own);
    }
    return new Covers(ranges);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Covers covers && ranges.equals(covers.ranges);
  }

  @Override
  public int hashCode() {
    return ranges.hashCode();
  }

  @Override
  public String toString() {
    return ranges.toString();
  }
}
