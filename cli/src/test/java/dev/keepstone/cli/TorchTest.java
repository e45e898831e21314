package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Files of `torch.save`, looked at and imported from the command line.
class TorchTest {
  private static final Path FIXTURES =
      Path.of(Objects.requireNonNull(System.getProperty("keepstone.root")), "fixtures", "torch");

  @TempDir Path folder;

  private static String accepted(String name) {
    return FIXTURES.resolve("accepted").resolve(name + ".pt").toString();
  }

  @Test
  void inspectShowsTensorsOfAllComponentsAndNamesWhatIsOpaque() {
    Ran ran = Ran.keepstone("inspect", accepted("training"), "--json");
    assertThat(ran.code()).isZero();
    assertThat(ran.json().text("format")).isEqualTo("torch");
    assertThat(ran.json().array("tensors"))
        .extracting(json -> ((Json.Obj) json).text("component"))
        .contains("model", "optimizer", "rng");
    assertThat(ran.json().object("state").object("state").integer("step")).isEqualTo(12);
    Ran text = Ran.keepstone("inspect", accepted("training"));
    assertThat(text.out()).contains("opaque   argparse.Namespace").contains("metadata step: 12");
    assertThat(text.out().lines()).allSatisfy(l -> assertThat(l).hasSizeLessThanOrEqualTo(80));
  }

  @Test
  void aPickleThatCallsIsRefusedByNameAndPlaceAndLeavesNothing() {
    Path file = FIXTURES.resolve("refused/call-os-system.pt");
    for (String verb : new String[] {"inspect", "verify"}) {
      Ran ran = Ran.keepstone(verb, file.toString(), "--json");
      assertThat(ran.code()).isEqualTo(7);
      assertThat(ran.error().text("what")).contains("os.system");
      assertThat(ran.error().text("on")).contains("data.pkl, byte ");
    }
    Ran ran = Ran.keepstone("import", file.toString(), folder + "/ckpts/run", "--json");
    assertThat(ran.code()).isEqualTo(7);
    assertThat(folder.resolve("ckpts/run")).doesNotExist();
    assertThat(Path.of("pwned")).doesNotExist();
  }

  @Test
  void aFolderThatIsNoCheckpointIsSaidToBeOfNoKnownFormat() throws IOException {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    for (Path of : List.of(FIXTURES, empty)) {
      Ran ran = Ran.keepstone("inspect", of.toString(), "--json");
      assertThat(ran.code()).isEqualTo(10);
      assertThat(ran.error().text("what")).contains("nothing known is in it");
    }
    assertThat(Ran.keepstone("inspect", folder + "/missing", "--json").code()).isEqualTo(5);
  }

  @Test
  void strictRefusesClassesThatAreOpaqueOtherwise() {
    Ran ran = Ran.keepstone("inspect", accepted("training"), "--strict-pickle", "--json");
    assertThat(ran.code()).isEqualTo(7);
    assertThat(ran.error().text("what")).contains("argparse.Namespace");
    Ran imported =
        Ran.keepstone(
            "import", accepted("training"), folder + "/ckpts/run", "--strict-pickle", "--json");
    assertThat(imported.code()).isEqualTo(7);
    assertThat(Ran.keepstone("inspect", accepted("views"), "--strict-pickle").code()).isZero();
  }

  @Test
  void aTrainingStateIsImportedWholeAndIsNoOtherThanItWas() {
    String run = folder + "/ckpts/run";
    Ran ran = Ran.keepstone("import", accepted("training"), run, "--json");
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.json().text("id")).isEqualTo("1-12");
    Ran diff = Ran.keepstone("diff", accepted("training"), run + "@latest", "--json");
    assertThat(diff.code()).as(diff.out()).isZero();
    assertThat(diff.json().bool("state_compared")).isTrue();
    assertThat(Ran.keepstone("verify", run + "@latest", "--deep").code()).isZero();
  }

  @Test
  void viewsAreImportedAsTheValuesTheyShow() {
    String run = folder + "/ckpts/views";
    assertThat(Ran.keepstone("import", accepted("views"), run).code()).isZero();
    Ran diff = Ran.keepstone("diff", accepted("views"), run + "@latest", "--json");
    assertThat(diff.code()).as(diff.out()).isZero();
    assertThat(diff.json().integer("unchanged")).isEqualTo(15);
  }

  @Test
  void theSameStateInTheOldFormIsTheSame() {
    Ran diff =
        Ran.keepstone("diff", accepted("state-dict"), accepted("state-dict-legacy"), "--json");
    assertThat(diff.code()).as(diff.out()).isZero();
    assertThat(diff.json().integer("unchanged")).isEqualTo(8);
  }

  @Test
  void verifyFindsTheBitThatTorchDoesNotSee() throws IOException {
    byte[] bytes = Files.readAllBytes(Path.of(accepted("state-dict")));
    Ran inspected = Ran.keepstone("inspect", accepted("state-dict"), "--json");
    Json.Obj first = (Json.Obj) inspected.json().array("tensors").getFirst();
    bytes[(int) first.integer("offset") + 5] ^= 1;
    Path broken = Files.write(folder.resolve("broken.pt"), bytes);

    assertThat(Ran.keepstone("verify", accepted("state-dict"), "--deep").out())
        .contains("every byte verified");
    assertThat(Ran.keepstone("verify", broken.toString()).code()).isZero();
    Ran deep = Ran.keepstone("verify", broken.toString(), "--deep", "--json");
    assertThat(deep.code()).isEqualTo(6);
    Json.Obj problem = (Json.Obj) deep.json().array("problems").getFirst();
    assertThat(problem.text("kind")).isEqualTo("checksum");
    assertThat(problem.text("file")).endsWith("broken.pt, record archive/data/0");
    assertThat(problem.integer("offset")).isEqualTo(first.integer("offset"));
  }
}
