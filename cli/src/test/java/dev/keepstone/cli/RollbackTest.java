package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.object.Start.Wanted;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RollbackTest {
  @TempDir Path folder;
  private String gpt = "";
  private @Nullable Saves made;

  @BeforeEach
  void threeCheckpointsOfTwoStarts() throws IOException {
    Path source = Tensors.write(folder.resolve("model.safetensors"));
    Path store = folder.resolve("ckpts");
    gpt = store + "/gpt";
    assertThat(Ran.keepstone("import", source.toString(), gpt, "--step", "40").code()).isZero();
    Saves saves = new Saves(store, "gpt");
    made = saves;
    int second = saves.start(Wanted.LATEST);
    assertThat(second).isEqualTo(2);
    saves.save(2, 60, 1, 2);
    saves.save(2, 80, Float.NaN, -7);
  }

  private Saves saves() {
    return Objects.requireNonNull(made);
  }

  private static List<String> ids(Json.Obj document, String field) {
    return document.array(field).stream().map(id -> ((Json.Text) id).value()).toList();
  }

  private String latest() {
    return Ran.keepstone("show", gpt, "--json").json().text("id");
  }

  @Test
  void anEarlierCheckpointBecomesTheLatestAndTheNextStartGoesOnFromIt() {
    Ran dry = Ran.keepstone("rollback", gpt, "--dry-run", "--json");
    Examples.assertKept("rollback", dry.json());
    assertThat(ids(dry.json(), "leaves")).containsExactly("2-80");
    assertThat(dry.json().has("start")).isFalse();
    assertThat(latest()).isEqualTo("2-80");

    Ran unsure = Ran.keepstone("rollback", gpt);
    assertThat(unsure.code()).isEqualTo(7);
    assertThat(unsure.err()).contains("--yes").contains("start 2");
    assertThat(latest()).isEqualTo("2-80");

    Ran done = Ran.keepstone("rollback", gpt, "--to", "1-40", "--yes", "--json");
    assertThat(done.code()).isZero();
    assertThat(done.json().text("to")).isEqualTo("1-40");
    assertThat(done.json().integer("start")).isEqualTo(3);
    assertThat(ids(done.json(), "leaves")).containsExactly("2-60", "2-80");
    assertThat(latest()).isEqualTo("1-40");
    assertThat(saves().start(Wanted.LATEST)).isEqualTo(4);
    assertThat(saves().run().decision(4).orElseThrow().parent().toString()).contains("1-40");
  }

  @Test
  void goingBackIsUndoneByGoingOverToTheOldLine() {
    Ran.keepstone("rollback", gpt, "--to", "1-40", "--yes");
    assertThat(Ran.keepstone("rollback", gpt, "--to", "2-80", "--yes").code()).isZero();
    assertThat(latest()).isEqualTo("2-80");
    Ran again = Ran.keepstone("rollback", gpt, "--to", "latest", "--yes", "--json");
    assertThat(again.code()).isZero();
    assertThat(again.json().has("start")).as("it is the latest already").isFalse();
    assertThat(Ran.keepstone("rollback", gpt, "--to", "99", "--yes").code()).isEqualTo(5);
    assertThat(Ran.keepstone("rollback", gpt + "@40", "--yes").code()).isEqualTo(7);
  }

  @Test
  void lineageNamesEveryStartBehindACheckpointAndTheImportAtItsRoot() {
    Ran ran = Ran.keepstone("lineage", gpt, "--json");
    Examples.assertKept("lineage", ran.json());
    assertThat(ran.json().array("chain"))
        .extracting(link -> ((Json.Obj) link).text("id"))
        .containsExactly("2-80", "1-40");
    assertThat(ran.json().text("origin")).startsWith("imported from ").contains("model.safetens");
    Ran text = Ran.keepstone("lineage", gpt);
    assertThat(text.out()).contains("went on from").contains("saved by start 2 of 1 rank");
    assertThat(text.out().lines()).allSatisfy(l -> assertThat(l).hasSizeLessThanOrEqualTo(80));
  }

  @Test
  void showTellsTheHealthOfEachTensorTheWorstFirst() throws IOException {
    Ran ran = Ran.keepstone("show", gpt, "--health", "--json");
    Examples.assertKept("show", ran.json());
    Json.Obj weight = (Json.Obj) ran.json().array("tensor_health").getFirst();
    assertThat(weight.text("name")).isEqualTo("weight");
    assertThat(weight.object("health").integer("nonfinite")).isEqualTo(1);
    assertThat(weight.object("health").real("min")).isEqualTo(-7);
    assertThat(Ran.keepstone("show", gpt, "--health").out()).contains("nonfinite");
    Ran first = Ran.keepstone("show", gpt + "@first", "--health", "--json");
    assertThat(first.json().array("tensor_health"))
        .extracting(tensor -> ((Json.Obj) tensor).text("name"))
        .as("the larger magnitude first")
        .containsExactly("weight", "bias");
  }
}
