package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LookTest {
  @TempDir Path folder;

  @Test
  void initMakesAStoreAndLeavesOneAsItIs() throws IOException {
    String store = folder.resolve("ckpts").toString();
    Ran first = Ran.keepstone("init", store, "--json");
    assertThat(first.code()).isZero();
    Examples.assertKept("init", first.json());
    byte[] marker = Files.readAllBytes(folder.resolve("ckpts/keepstone.json"));

    assertThat(Ran.keepstone("init", store).out()).startsWith("store at ");
    assertThat(Files.readAllBytes(folder.resolve("ckpts/keepstone.json"))).isEqualTo(marker);
  }

  @Test
  void anEmptyStoreHasNoRuns() {
    Ran.keepstone("init", folder.toString());
    assertThat(Ran.keepstone("ls", folder.toString(), "--json").json().array("runs")).isEmpty();
    assertThat(Ran.keepstone("ls", folder.toString()).out()).startsWith("no runs yet");
  }

  @Test
  void whatIsNotThereIsCodeFiveInTextAndInJson() {
    Ran.keepstone("init", folder.toString());
    Ran ran = Ran.keepstone("show", folder + "/gpt@latest", "--json");
    assertThat(ran.code()).isEqualTo(5);
    assertThat(ran.error().integer("code")).isEqualTo(5);
    assertThat(ran.json().bool("ok")).isFalse();
    assertThat(ran.err().lines()).hasSize(3);
    assertThat(Ran.keepstone("ls", folder + "/gpt").code()).isEqualTo(5);
  }

  @Test
  void lsOfOneCheckpointIsRefusedWithTheVerbToUse() {
    Ran.keepstone("init", folder.toString());
    Ran ran = Ran.keepstone("ls", folder + "/gpt@500");
    assertThat(ran.code()).isEqualTo(7);
    assertThat(ran.err()).contains("keepstone show");
  }

  @Test
  void inspectTellsWhereTheTensorsOfAForeignFileLie() throws IOException {
    Path file = Tensors.write(folder.resolve("model.safetensors"));
    Ran ran = Ran.keepstone("inspect", file.toString(), "--json");
    assertThat(ran.code()).isZero();
    Examples.assertKept("inspect", ran.json());
    Json.Obj weight = (Json.Obj) ran.json().array("tensors").getFirst();
    assertThat(weight.text("name")).isEqualTo("weight");
    long headerBytes = Files.size(file) - 30;
    assertThat(weight.integer("offset")).isEqualTo(headerBytes);

    Ran text = Ran.keepstone("inspect", file.toString());
    assertThat(text.out()).contains("2 tensors").contains("[2, 3]").doesNotContain("\u001b");
    assertThat(text.out().lines()).allSatisfy(l -> assertThat(l).hasSizeLessThanOrEqualTo(80));
  }

  @Test
  void aFileOfNoKnownFormatIsCodeTen() throws IOException {
    Path file = Files.writeString(folder.resolve("notes.txt"), "hello");
    Ran ran = Ran.keepstone("inspect", file.toString(), "--json");
    assertThat(ran.code()).isEqualTo(ran.error().integer("code")).isIn(6, 10);
  }

  @Test
  void exportCopiesAForeignFileAndNeverOverwrites() throws IOException {
    Path file = Tensors.write(folder.resolve("model.safetensors"));
    Path target = folder.resolve("copy.safetensors");
    Ran ran = Ran.keepstone("export", file.toString(), target.toString(), "--json");
    assertThat(ran.code()).isZero();
    Examples.assertKept("export", ran.json());
    byte[] written = Files.readAllBytes(target);

    Ran again = Ran.keepstone("export", file.toString(), target.toString(), "--json");
    assertThat(again.code()).isEqualTo(7);
    assertThat(Files.readAllBytes(target)).isEqualTo(written);
  }
}
