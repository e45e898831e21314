package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Pins, tags, notes, metrics and verdicts, as people write and see them.
class MarkingTest {
  @TempDir Path folder;
  private String gpt = "";
  private @Nullable Saves made;

  @BeforeEach
  void twoCheckpoints() throws IOException {
    Path store = folder.resolve("ckpts");
    gpt = store + "/gpt";
    Path source = Tensors.write(folder.resolve("model.safetensors"));
    assertThat(Ran.keepstone("import", source.toString(), gpt, "--step", "40").code()).isZero();
    Saves saves = new Saves(store, "gpt");
    made = saves;
    saves.start(Wanted.LATEST);
    saves.save(2, 60, 1, 2);
  }

  private Run run() {
    return Objects.requireNonNull(made).run();
  }

  private Json.Obj shown(String which) {
    return Ran.keepstone("show", gpt + "@" + which, "--json").json();
  }

  private void write(Fact... facts) {
    Journal.of(run(), () -> Ran.NOW, "00000001", "test").append(List.of(facts));
  }

  @Test
  void aPinIsSeenAndTakenAwayAgain() {
    Ran pinned = Ran.keepstone("pin", gpt + "@1-40", "--note", "table 2", "--json");
    Examples.assertKept("pin", pinned.json());
    assertThat(shown("1-40").bool("pinned")).isTrue();
    assertThat(shown("1-40").text("note")).isEqualTo("table 2");
    assertThat(Ran.keepstone("ls", gpt).out()).contains("pinned");

    Examples.assertKept("unpin", Ran.keepstone("unpin", gpt + "@1-40", "--json").json());
    assertThat(shown("1-40").bool("pinned")).isFalse();
    assertThat(Ran.keepstone("unpin", gpt + "@1-40").out()).contains("was not pinned");
    assertThat(Ran.keepstone("pin", gpt + "@70").code()).isEqualTo(5);
  }

  @Test
  void aPinCallsAnAnnouncedDeletionOff() {
    CheckpointId id = CheckpointId.parse("1-40");
    Tomb tomb =
        new Tomb(run().uid(), id, 1, Duration.ofDays(1), new Wish.Named(), "", "7c1e02aa", Ran.NOW);
    run().tier().put(run().names().tomb(id, 1), tomb.encode());
    assertThat(run().look().tombs().open(id)).hasValue(1);
    assertThat(Ran.keepstone("pin", gpt + "@1-40").out()).contains("called off");
    assertThat(run().look().tombs().open(id)).isEmpty();
  }

  @Test
  void aTagFindsItsCheckpointAndIsTakenOverOnlyOnRequest() {
    Ran tagged = Ran.keepstone("tag", gpt + "@1-40", "paper", "draft_1", "--json");
    Examples.assertKept("tag", tagged.json());
    assertThat(shown("paper").text("id")).isEqualTo("1-40");
    assertThat(shown("paper").array("tags")).containsExactly(Json.of("draft_1"), Json.of("paper"));

    Ran taken = Ran.keepstone("tag", gpt + "@latest", "paper");
    assertThat(taken.code()).isEqualTo(7);
    assertThat(taken.err()).contains("names 1-40").contains("--move");
    assertThat(Ran.keepstone("tag", gpt + "@latest", "paper", "--move").code()).isZero();
    assertThat(shown("paper").text("id")).isEqualTo("2-60");

    assertThat(Ran.keepstone("untag", gpt + "@1-40", "paper").code()).isEqualTo(5);
    Examples.assertKept("untag", Ran.keepstone("untag", gpt + "@1-40", "--json").json());
    assertThat(Ran.keepstone("show", gpt + "@draft_1").code()).isEqualTo(5);
    for (String word : List.of("best", "3-500", "500", "a-b", "")) {
      assertThat(Ran.keepstone("tag", gpt + "@1-40", word).code()).as(word).isEqualTo(7);
    }
  }

  @Test
  void laterMetricsDecideWhichIsBest() {
    assertThat(Ran.keepstone("show", gpt + "@best").code()).isEqualTo(7);
    write(
        new Fact.Policy(Json.object().put("monitor", "val").put("mode", "max").build()),
        new Fact.Metrics(CheckpointId.parse("1-40"), Json.object().put("val", 0.75).build()),
        new Fact.Metrics(CheckpointId.parse("2-60"), Json.object().put("val", 0.5).build()),
        new Fact.Durable(CheckpointId.parse("2-60"), 61.5));
    assertThat(shown("best").text("id")).isEqualTo("1-40");
    assertThat(shown("best").object("metrics").real("val")).isEqualTo(0.75);
    assertThat(shown("2-60").real("durable_ms")).isEqualTo(61.5);
    assertThat(Ran.keepstone("ls", gpt).out()).contains("best 1-40 val 0.75");
  }

  @Test
  void aQuarantinedCheckpointIsNamedAndNotLatest() {
    write(new Fact.Verdict(CheckpointId.parse("2-60"), true, false, "a flipped bit"));
    assertThat(shown("latest").text("id")).isEqualTo("1-40");
    Json.Obj bad = shown("2-60");
    assertThat(bad.bool("quarantined")).isTrue();
    assertThat(bad.array("reasons").toString()).contains("a flipped bit");
  }

  /// Watches until a checkpoint is committed, beside a trainer that saves.
  private Ran watched(String form) throws Exception {
    Saves saves = Objects.requireNonNull(made);
    AtomicBoolean seen = new AtomicBoolean();
    Thread trainer =
        Thread.ofVirtual()
            .start(() -> {
              try {
                for (long step = 80; !seen.get(); step++) {
                  saves.save(2, step, 3, 4);
                }
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
    Ran watched = Ran.keepstone("watch", gpt, "--until-commit", "--for", "60s", form);
    seen.set(true);
    trainer.join();
    return watched;
  }

  @Test
  void aWatchTellsWhatHappensMeanwhile() throws Exception {
    Ran watched = watched("--json");
    Examples.assertKept("watch", watched.json());
    assertThat(watched.json().array("events").toString()).contains("committed", "2-");
    assertThat(Ran.keepstone("watch", gpt, "--for", "0s", "--json").json().array("events"))
        .isEmpty();
  }

  @Test
  void aWatchInLinesTellsEachEventAsItComesAndKeepsNoneForTheEnd() throws Exception {
    List<Json.Obj> lines =
        watched("--json-lines")
            .out()
            .lines()
            .map(line -> JsonReader.readObject(line.getBytes(StandardCharsets.UTF_8)))
            .toList();
    assertThat(lines).hasSizeGreaterThanOrEqualTo(2);
    Json.Obj first = lines.getFirst();
    assertThat(first.text("type")).isEqualTo("event");
    assertThat(first.text("event")).isEqualTo("committed");
    assertThat(first.text("id")).startsWith("2-");
    assertThat(lines.getLast().text("type")).isEqualTo("summary");
    assertThat(lines.getLast().array("events")).isEmpty();
  }
}
