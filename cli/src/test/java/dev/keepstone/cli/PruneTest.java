package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.reference.CheckpointId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Deleting by command: what a dry run says is what happens, and needs a yes.
class PruneTest {
  @TempDir Path folder;
  private Path store = Path.of("");
  private String gpt = "";

  @BeforeEach
  void fourCheckpointsOfTwoStarts() throws IOException {
    Path source = Tensors.write(folder.resolve("model.safetensors"));
    store = folder.resolve("ckpts");
    gpt = store + "/gpt";
    assertThat(Ran.keepstone("import", source.toString(), gpt, "--step", "40").code()).isZero();
    Saves saves = new Saves(store, "gpt");
    assertThat(saves.start(Wanted.LATEST)).isEqualTo(2);
    saves.save(2, 60, 1, 2);
    saves.save(2, 80, 3, 4);
    saves.save(2, 100, 5, 6);
  }

  private static List<String> plan(Ran ran) {
    return ran.json().array("plan").stream()
        .map(one -> (Json.Obj) one)
        .map(one -> one.text("action") + " " + one.text("id"))
        .toList();
  }

  private List<String> listed() {
    Json.Obj run = (Json.Obj) Ran.keepstone("ls", gpt, "--json").json().array("runs").getFirst();
    return run.array("checkpoints").stream().map(one -> ((Json.Obj) one).text("id")).toList();
  }

  private Map<String, String> bytes() throws IOException {
    Map<String, String> bytes = new TreeMap<>();
    try (Stream<Path> files = Files.walk(store)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        bytes.put(file.toString(), HexFormat.of().formatHex(Files.readAllBytes(file)));
      }
    }
    return bytes;
  }

  private void age() throws IOException {
    try (Stream<Path> all = Files.walk(store)) {
      for (Path path : all.toList()) {
        FileTime time = FileTime.from(Ran.NOW.minus(Duration.ofDays(4)));
        Files.setLastModifiedTime(path, time);
      }
    }
  }

  @Test
  void theRealRunDeletesWhatTheDryRunSaidAndTheDryRunChangesNoByte() throws IOException {
    Map<String, String> before = bytes();
    Ran dry = Ran.keepstone("prune", gpt, "--keep-last", "1", "--dry-run", "--json");
    assertThat(dry.code()).isZero();
    Examples.assertKept("prune", dry.json());
    assertThat(plan(dry)).containsExactly("keep 1-40", "delete 2-60", "delete 2-80", "keep 2-100");
    assertThat(bytes()).isEqualTo(before);

    Ran real = Ran.keepstone("prune", gpt, "--keep-last", "1", "--yes", "--json");
    assertThat(real.json().array("plan")).isEqualTo(dry.json().array("plan"));
    assertThat(real.json().integer("freed")).isZero();
    assertThat(listed()).hasSize(4);
  }

  @Test
  void withoutAYesNothingHappens() throws IOException {
    Map<String, String> before = bytes();
    Ran ran = Ran.keepstone("prune", gpt, "--keep-last", "1");
    assertThat(ran.code()).isEqualTo(7);
    assertThat(ran.err()).contains("--yes").contains("2 checkpoints");
    assertThat(bytes()).isEqualTo(before);
  }

  @Test
  void aBriefGraceSaysWhatItRisksAndWaitingFreesTheBytes() {
    Ran ran =
        Ran.keepstone(
            "prune", gpt, "--keep-last", "1", "--grace", "0s", "--wait", "--yes", "--json");
    assertThat(ran.code()).isZero();
    assertThat(ran.err()).contains("below 90 s").contains("may lose it");
    assertThat(ran.json().integer("freed")).isPositive();
    assertThat(listed()).containsExactly("2-100", "1-40");
    assertThat(Ran.keepstone("prune", gpt, "--keep-last", "1", "--yes").out())
        .contains("nothing to delete");
  }

  @Test
  void whatIsNamedGoesUnlessItIsNeededAndThatIsSaid() {
    Ran ran =
        Ran.keepstone(
            "prune", gpt + "@2-60", "latest", "--grace", "0s", "--wait", "--yes", "--json");
    assertThat(ran.code()).isEqualTo(3);
    assertThat(plan(ran)).containsExactly("delete 2-60", "keep 2-100");
    assertThat(listed()).containsExactly("2-100", "2-80", "1-40");
    Ran parent = Ran.keepstone("prune", gpt + "@1-40", "--yes");
    assertThat(parent.code()).isEqualTo(3);
    assertThat(parent.out()).contains("start 2 goes on from it");
    assertThat(Ran.keepstone("prune", gpt + "@2-60", "--keep-last", "2").code()).isEqualTo(7);
  }

  @Test
  void aMetricThatNobodyHasIsAWarning() {
    Ran ran =
        Ran.keepstone(
            "prune", gpt, "--keep-best", "1", "--monitor", "val_los", "--mode", "min", "--dry-run");
    assertThat(ran.err()).contains("no checkpoint has the metric val_los; seen: loss");
    assertThat(Ran.keepstone("prune", gpt, "--keep-best", "1", "--dry-run").code()).isEqualTo(7);
    assertThat(Ran.keepstone("prune", gpt, "--dry-run").err()).contains("no rules of its own");
  }

  @Test
  void whatIsAnnouncedIsTakenBackByUndo() {
    Ran.keepstone("prune", gpt, "--keep-last", "1", "--yes");
    Ran dry = Ran.keepstone("undo", gpt + "@2-60", "--dry-run", "--json");
    Examples.assertKept("undo", dry.json());
    assertThat(plan(dry)).containsExactly("keep 2-60");
    Ran one = Ran.keepstone("undo", gpt + "@2-60", "--json");
    assertThat(one.json().array("plan")).isEqualTo(dry.json().array("plan"));
    assertThat(Ran.keepstone("undo", gpt + "@2-60").code()).isEqualTo(5);
    assertThat(plan(Ran.keepstone("undo", gpt, "--json"))).containsExactly("keep 2-80");
    assertThat(Ran.keepstone("undo", gpt).out()).contains("no deletion is announced");
  }

  @Test
  void gcRemovesLeftoversAndConcludesOldAnnouncementsAsTheDryRunSaid() throws IOException {
    Ran.keepstone("prune", gpt + "@2-60", "--yes");
    Files.writeString(store.resolve("gpt/manifests/2-120.json.7c1e02aa.1.tmp"), "half");
    Files.writeString(store.resolve("gpt/manifests/README"), "mine");
    assertThat(Ran.keepstone("gc", store.toString()).out()).contains("nothing to remove");
    age();
    Map<String, String> before = bytes();
    Ran dry = Ran.keepstone("gc", store.toString(), "--dry-run", "--json");
    Examples.assertKept("gc", dry.json());
    assertThat(bytes()).isEqualTo(before);
    assertThat(dry.json().array("plan")).hasSize(2);
    assertThat(Ran.keepstone("gc", gpt).code()).isEqualTo(7);
    Ran real = Ran.keepstone("gc", gpt, "--yes", "--json");
    assertThat(real.json().array("plan")).isEqualTo(dry.json().array("plan"));
    assertThat(real.json().integer("freed")).isPositive();
    assertThat(listed()).containsExactly("2-100", "2-80", "1-40");
    assertThat(store.resolve("gpt/manifests/README")).exists();
    assertThat(Ran.keepstone("gc", gpt + "@2-100").code()).isEqualTo(7);
  }

  @Test
  void theRunsOwnRulesSayWhyAndDecideWhereNoneAreGiven() {
    Saves saves = new Saves(store, "gpt");
    Json.Obj policy =
        Json.object()
            .put("keep_last", 2)
            .put("keep_best", 1)
            .put("monitor", "loss")
            .put("mode", "min")
            .build();
    Journal.of(saves.run(), () -> Ran.NOW, "0000000a", "test")
        .append(List.of(new Fact.Policy(policy)));
    assertThat(Ran.keepstone("ls", gpt).out().lines())
        .anyMatch(line -> line.contains("2-80") && line.endsWith("last 2"))
        .anyMatch(line -> line.contains("2-100") && line.endsWith("latest, best of loss, last 2"));
    Ran ran = Ran.keepstone("prune", gpt, "--dry-run", "--json");
    assertThat(plan(ran).stream().filter(line -> line.startsWith("delete"))).hasSize(1);
    assertThat(Ran.keepstone("du", gpt).out()).contains("last 2").contains("no rule keeps it");
  }

  @Test
  void whoDeletedWhatAndWhyIsWrittenDown() {
    Ran.keepstone("prune", gpt + "@2-60", "--grace", "0s", "--wait", "--yes");
    var told = new Saves(store, "gpt").run().look().facts().deletions(CheckpointId.parse("2-60"));
    assertThat(told)
        .extracting(fact -> fact.fact().act() + " " + fact.fact().why())
        .containsExactly("ANNOUNCED named", "PURGED named");
    assertThat(told).allSatisfy(fact -> assertThat(fact.fact().by()).isEqualTo("somebody"));
  }

  @Test
  void duAddsUpToWhatIsListed() {
    Ran.keepstone("prune", gpt + "@2-60", "--yes");
    Ran ran = Ran.keepstone("du", store.toString(), "--json");
    Examples.assertKept("du", ran.json());
    Json.Obj run = (Json.Obj) Ran.keepstone("ls", gpt, "--json").json().array("runs").getFirst();
    long listed =
        run.array("checkpoints").stream().mapToLong(one -> ((Json.Obj) one).integer("bytes")).sum();
    assertThat(ran.json().integer("bytes")).isEqualTo(listed);
    Json.Obj used = (Json.Obj) ran.json().array("runs").getFirst();
    for (String group : List.of("components", "kept", "ages")) {
      long sum =
          used.array(group).stream().mapToLong(one -> ((Json.Obj) one).integer("bytes")).sum();
      assertThat(sum).as(group).isEqualTo(listed);
    }
    assertThat(Ran.keepstone("du", gpt).out()).contains("deletion announced").contains("in all");
  }
}
