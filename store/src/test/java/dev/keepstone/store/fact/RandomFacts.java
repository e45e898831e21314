package dev.keepstone.store.fact;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Names.BatchName;
import dev.keepstone.store.reference.CheckpointId;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/// Facts drawn at random, of few subjects and few moments, so that they meet.
public final class RandomFacts {
  public static final String UID = "6f1c0e5a9d0b4b7e8c2d3f4a5b6c7d8e";
  private static final Instant BEGIN = Instant.parse("2026-11-24T07:40:00Z");

  private RandomFacts() {}

  public static Fact fact(Random random) {
    CheckpointId id = new CheckpointId(1 + random.nextInt(2), random.nextInt(3));
    String word = "word " + random.nextInt(3);
    return switch (random.nextInt(8)) {
      case 0 -> new Fact.Metrics(id, metrics(random));
      case 1 -> new Fact.Durable(id, random.nextInt(100) / 10.0);
      case 2 -> new Fact.Pin(id, random.nextBoolean(), word);
      case 3 ->
          new Fact.Tag(
              "tag" + random.nextInt(2), random.nextBoolean() ? Optional.of(id) : Optional.empty());
      case 4 -> new Fact.Note(id, random.nextBoolean() ? word : "");
      case 5 -> new Fact.Verdict(id, random.nextBoolean(), random.nextBoolean(), word);
      case 6 ->
          new Fact.Deleted(
              id,
              1 + random.nextInt(2),
              Fact.Act.values()[random.nextInt(3)],
              word,
              "by " + random.nextInt(2));
      default -> new Fact.Policy(Json.object().put("keep_last", random.nextInt(9)).build());
    };
  }

  private static Json.Obj metrics(Random random) {
    Json.Builder metrics = Json.object();
    for (String name : List.of("loss", "val", "lr")) {
      if (random.nextBoolean()) {
        metrics.put(
            name,
            random.nextInt(4) == 0
                ? Json.object().put("~", "float").put("v", "nan").build()
                : Json.of(random.nextInt(5) / 4.0));
      }
    }
    return metrics.build();
  }

  /// What the manifests of a run may say: much of it alike, none of it the same.
  static List<Manifest.Summary> summaries(Random random) {
    List<Manifest.Summary> summaries = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      long bytes = 100 + random.nextInt(2);
      boolean uses = random.nextInt(4) == 0;
      summaries.add(
          new Manifest.Summary(
              UID,
              new CheckpointId(1 + random.nextInt(2), 10 + i),
              1 + random.nextInt(2),
              metrics(random),
              1,
              bytes,
              uses ? random.nextLong(bytes) : 0,
              random.nextInt(3) - 1,
              Manifest.Soundness.values()[random.nextInt(3)],
              uses ? List.of(new CheckpointId(1, random.nextInt(10))) : List.of(),
              created(random)));
    }
    return summaries;
  }

  private static @Nullable Instant created(Random random) {
    return switch (random.nextInt(4)) {
      case 0 -> null;
      case 1 -> BEGIN.plusNanos(random.nextInt());
      case 2 -> Instant.ofEpochSecond(-random.nextInt(), random.nextInt(1_000_000_000));
      default -> Instant.parse("3000-01-01T00:00:00.000000001Z");
    };
  }

  /// Batches of a few writers, at few moments: many stamps differ only in what comes after the
  /// time.
  public static List<Batch> batches(Random random) {
    List<Batch> batches = new ArrayList<>();
    for (int writer = 0; writer < 3; writer++) {
      for (int sequence = 1; sequence <= 1 + random.nextInt(4); sequence++) {
        List<Fact> facts = new ArrayList<>();
        for (int i = 0; i <= random.nextInt(5); i++) {
          facts.add(fact(random));
        }
        batches.add(
            new Batch(
                UID,
                new BatchName("0000000" + writer, sequence),
                BEGIN.plusMillis(random.nextInt(3)),
                "writer " + writer,
                facts));
      }
    }
    return batches;
  }
}
