package dev.keepstone.store.fact;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.object.Names.BatchName;
import dev.keepstone.store.object.StoreObject;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.testkit.Seeds;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What is known does not depend on how it came.
final class FactsTest {
  private static final CheckpointId ID = new CheckpointId(1, 40);
  private static final CheckpointId OTHER = new CheckpointId(1, 60);
  private static final Instant NOON = Instant.parse("2026-11-24T12:00:00Z");

  private long sequence;

  static LongStream seeds() {
    return Seeds.count(300);
  }

  private static List<Stamped<?>> drawn(Random random) {
    List<Stamped<?>> facts = new ArrayList<>();
    RandomFacts.batches(random).forEach(batch -> facts.addAll(batch.stamped()));
    return facts;
  }

  /// A fact later than those given before.
  private <F extends Fact> Stamped<F> next(F fact) {
    return new Stamped<>(new Stamp(NOON, "7c1e02aa", ++sequence, 0), "test", fact);
  }

  private Facts known(Fact... facts) {
    return Facts.of(List.of(facts).stream().map(this::next).toList());
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void anyOrderAnyRepetitionAndAnyPartitionGiveTheSame(long seed) {
    Random random = Seeds.random(seed);
    List<Stamped<?>> facts = drawn(random);
    Facts expected = Facts.of(facts);

    List<Stamped<?>> again = new ArrayList<>(facts);
    for (int i = 0; i < facts.size(); i++) {
      again.add(facts.get(random.nextInt(facts.size())));
    }
    Collections.shuffle(again, random);
    Facts merged = Facts.NONE;
    for (int from = 0; from < again.size(); ) {
      int to = Math.min(again.size(), from + 1 + random.nextInt(7));
      Facts some = Facts.of(again.subList(from, to));
      merged = random.nextBoolean() ? merged.merge(some) : some.merge(merged);
      from = to;
    }
    assertThat(merged).isEqualTo(expected).hasSameHashCodeAs(expected);
    assertThat(merged.newest()).isEqualTo(expected.newest());
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void mergingIsCommutativeAssociativeAndIdempotent(long seed) {
    Random random = Seeds.random(seed);
    Facts a = Facts.of(drawn(random));
    Facts b = Facts.of(drawn(random));
    Facts c = Facts.of(drawn(random));
    assertThat(a.merge(b)).isEqualTo(b.merge(a));
    assertThat(a.merge(b).merge(c)).isEqualTo(a.merge(b.merge(c)));
    assertThat(a.merge(a)).isEqualTo(a);
    assertThat(a.merge(Facts.NONE)).isEqualTo(a).isEqualTo(Facts.NONE.merge(a));
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void batchesAndSnapshotsSayWhatWasWritten(long seed) {
    Random random = Seeds.random(seed);
    List<Batch> batches = RandomFacts.batches(random);
    for (Batch batch : batches) {
      assertThat(Batch.decode(batch.encode(), "batch")).isEqualTo(batch);
    }
    Facts facts = Facts.of(batches.stream().flatMap(batch -> batch.stamped().stream()).toList());
    Covers covers = Covers.NONE.with(batches.stream().map(Batch::name).toList());
    NavigableSet<CheckpointId> purged = new TreeSet<>(List.of(ID, new CheckpointId(3, 7)));
    List<Manifest.Summary> checkpoints = RandomFacts.summaries(random);
    Snapshot snapshot = new Snapshot(RandomFacts.UID, 1, NOON, covers, purged, checkpoints, facts);
    Snapshot read = Snapshot.decode(snapshot.encode("snapshot"), RandomFacts.UID, "snapshot");
    assertThat(read).isEqualTo(snapshot);
    assertThat(read.encode("snapshot")).isEqualTo(snapshot.encode("snapshot"));
    // What a snapshot says and the batches it was made from agree, in either order.
    assertThat(read.facts().merge(facts)).isEqualTo(facts);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[[7,1,40,null]]",
        "[[{\"world\":1,\"tensors\":1,\"bytes\":8,\"health\":\"ok\"},1,40]]",
        "[[{\"world\":1,\"tensors\":1,\"bytes\":8,\"health\":\"ok\"},1,40,null,2.5]]",
        "[[{\"world\":1,\"tensors\":1,\"bytes\":8,\"health\":\"ok\",\"metrics\":[\"a\",\"a\"]},1,40,null,1,2]]",
        "[[{\"world\":0,\"tensors\":1,\"bytes\":8,\"health\":\"ok\"},1,40,null]]",
        "[[{\"world\":1,\"tensors\":1,\"bytes\":8,\"health\":\"ok\"},0,40,null]]",
        "[5]"
      })
  void aRowOfASnapshotThatSaysNothingIsDamageAndNotACrash(String rows) {
    Json.Obj object =
        StoreObject.begin(2, "snapshot")
            .put("uid", RandomFacts.UID)
            .put("number", 1)
            .put("created", NOON.toString())
            .put("covers", Json.object().build())
            .put("purged", Json.object().build())
            .put("checkpoints", JsonReader.read(rows.getBytes(UTF_8)))
            .put("facts", Json.array(List.of()))
            .build();
    assertThatExceptionOfType(KeepstoneException.Integrity.class)
        .isThrownBy(
            () -> Snapshot.decode(StoreObject.encode(object), RandomFacts.UID, "snapshot-1.json"))
        .matches(failure -> failure.on().equals("snapshot-1.json"));
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void coversHoldExactlyWhatWasAdded(long seed) {
    Random random = Seeds.random(seed);
    NavigableSet<Long> expected = new TreeSet<>();
    Covers covers = Covers.NONE;
    for (int i = 0; i < 20; i++) {
      long number = 1 + random.nextInt(25);
      expected.add(number);
      List<BatchName> name = List.of(new BatchName("7c1e02aa", number));
      covers = random.nextBoolean() ? covers.with(name) : Covers.NONE.with(name).with(covers);
    }
    for (long number = 1; number <= 30; number++) {
      assertThat(covers.has(new BatchName("7c1e02aa", number)))
          .isEqualTo(expected.contains(number));
      assertThat(covers.has(new BatchName("00000001", number))).isFalse();
    }
    assertThat(covers.last("7c1e02aa")).isEqualTo(expected.last());
    assertThat(Covers.read(covers.toJson())).isEqualTo(covers);
  }

  @Test
  void aLaterReportOfOneMetricLeavesTheOthers() {
    Facts facts =
        known(
            new Fact.Metrics(ID, Json.object().put("val", 2.5).put("acc", 0.5).build()),
            new Fact.Metrics(ID, Json.object().put("val", 2.25).build()));
    assertThat(facts.metrics(ID)).isEqualTo(Json.object().put("acc", 0.5).put("val", 2.25).build());
    assertThat(facts.metrics(OTHER).fields()).isEmpty();
  }

  @Test
  void aPinTakenAwayStaysAwayWhateverTheClockOfWhoTookItSays() {
    Stamped<?> pin =
        new Stamped<>(
            new Stamp(Instant.parse("2031-01-01T00:00:00Z"), "00000001", 1, 0),
            "a clock years ahead",
            new Fact.Pin(ID, true, ""));
    Facts seen = Facts.of(List.of(pin));
    Instant at = Stamp.after(seen.newest(), NOON);
    Stamped<?> unpin =
        new Stamped<>(new Stamp(at, "00000000", 1, 0), "now", new Fact.Pin(ID, false, ""));
    assertThat(seen.pinned(ID)).isTrue();
    assertThat(Facts.of(List.of(unpin, pin)).pinned(ID)).isFalse();
  }

  @Test
  void noClockIsBelievedForEver() {
    Instant last = Stamp.after(Stamp.LAST, NOON);
    assertThat(last).isEqualTo(Stamp.LAST);
    Batch batch =
        new Batch(
            RandomFacts.UID,
            new BatchName("7c1e02aa", 1),
            Instant.parse("9999-01-01T00:00:00Z"),
            "",
            List.of(new Fact.Note(ID, "")));
    assertThatExceptionOfType(KeepstoneException.Integrity.class)
        .isThrownBy(() -> Batch.decode(batch.encode(), "batch"))
        .withMessageContaining("9000");
  }

  @Test
  void aBadVerdictCountsUntilEveryByteWasFoundGood() {
    Fact bad = new Fact.Verdict(ID, false, false, "a shard is missing");
    Fact quick = new Fact.Verdict(ID, false, true, "");
    Fact deep = new Fact.Verdict(ID, true, true, "");
    assertThat(known(bad).bad(ID)).isPresent();
    assertThat(known(bad, quick).bad(ID)).isPresent();
    assertThat(known(bad, quick, deep).bad(ID)).isEmpty();
    assertThat(known(deep, bad).bad(ID)).isPresent();
    assertThat(known(deep, bad).deeplyVerified(ID)).isPresent();
    assertThat(known(deep, quick).verdict(ID)).contains((Fact.Verdict) quick);
  }

  @Test
  void aTagNamesOneCheckpointAndCanBeTakenAway() {
    Fact one = new Fact.Tag("paper", Optional.of(ID));
    Fact other = new Fact.Tag("paper", Optional.of(OTHER));
    Fact none = new Fact.Tag("paper", Optional.empty());
    assertThat(known(one).tagsOf(ID)).containsExactly("paper");
    assertThat(known(one, other).tagsOf(ID)).isEmpty();
    assertThat(known(one, other).tag("paper")).contains(OTHER);
    assertThat(known(one, none).tags()).isEmpty();
  }

  @Test
  void aStepOfADeletionHappenedWhenItWasFirstToldOf() {
    Facts facts =
        known(
            new Fact.Deleted(ID, 1, Fact.Act.ANNOUNCED, "keep_last=3", "7c1e02aa"),
            new Fact.Deleted(ID, 1, Fact.Act.PURGED, "keep_last=3", "7c1e02aa"),
            new Fact.Deleted(ID, 1, Fact.Act.PURGED, "told again", "00000001"));
    assertThat(facts.deletions(ID))
        .extracting(told -> told.fact().act() + " " + told.fact().why())
        .containsExactly("ANNOUNCED keep_last=3", "PURGED keep_last=3");
  }

  @Test
  void timesToDurableAndNotesAreTheNewest() {
    Facts facts =
        known(
            new Fact.Durable(ID, 61.5),
            new Fact.Durable(ID, 60),
            new Fact.Note(ID, "words"),
            new Fact.Note(OTHER, "words"),
            new Fact.Note(OTHER, ""));
    assertThat(facts.durableMs(ID)).isEqualTo(OptionalDouble.of(60));
    assertThat(facts.durableMs(OTHER)).isEmpty();
    assertThat(facts.note(ID)).contains("words");
    assertThat(facts.note(OTHER)).isEmpty();
  }

  @Test
  void nanBeatsNothingInEitherMode() {
    assertThat(Mode.MIN.better(1, 2)).isTrue();
    assertThat(Mode.MAX.better(1, 2)).isFalse();
    for (Mode mode : Mode.values()) {
      assertThat(mode.better(Double.NaN, 1)).isFalse();
      assertThat(mode.better(1, Double.NaN)).isTrue();
      assertThat(mode.better(Double.NaN, Double.NaN)).isFalse();
    }
    assertThat(Metric.value(Json.object().put("~", "float").put("v", "-inf").build()))
        .isEqualTo(OptionalDouble.of(Double.NEGATIVE_INFINITY));
    assertThat(Metric.value(Json.of("2.5"))).isEmpty();
  }

  @Test
  void whatIsTooMuchIsRefused() {
    String longText = "x".repeat(4097);
    assertThatExceptionOfType(IllegalArgumentException.class)
        .isThrownBy(() -> new Fact.Note(ID, longText));
    assertThatExceptionOfType(IllegalArgumentException.class)
        .isThrownBy(() -> new Fact.Tag("latest", Optional.of(ID)));
    assertThatExceptionOfType(IllegalArgumentException.class)
        .isThrownBy(() -> new Fact.Tag("../x", Optional.of(ID)));
    assertThatExceptionOfType(IllegalArgumentException.class)
        .isThrownBy(() -> new Fact.Metrics(ID, Json.object().put("loss", "low").build()));
    assertThatExceptionOfType(KeepstoneException.Integrity.class)
        .isThrownBy(() -> Batch.decode(new byte[(int) Batch.MAX_BYTES + 1], "batch"))
        .withMessageContaining("at most");
  }
}
