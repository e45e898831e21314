package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DiffTest {
  @TempDir Path folder;

  private Path file(String name) throws IOException {
    return Tensors.write(folder.resolve(name));
  }

  private static void flip(Path file, long fromEnd) throws IOException {
    try (RandomAccessFile opened = new RandomAccessFile(file.toFile(), "rw")) {
      opened.seek(opened.length() - fromEnd);
      int before = opened.read();
      opened.seek(opened.length() - fromEnd);
      opened.write(before ^ 1);
    }
  }

  @Test
  void whatWasImportedIsEqualToItsSourceAndEndsWithZero() throws IOException {
    Path source = file("model.safetensors");
    String store = folder.resolve("ckpts").toString();
    Ran.keepstone("import", source.toString(), store + "/gpt");
    Ran ran = Ran.keepstone("diff", source.toString(), store + "/gpt", "--json");
    assertThat(ran.code()).isZero();
    assertThat(ran.json().bool("equal")).isTrue();
    assertThat(ran.json().integer("unchanged")).isEqualTo(2);
    assertThat(ran.json().bool("state_compared")).isFalse();
    Ran text = Ran.keepstone("diff", store, source.toString());
    assertThat(text.out()).startsWith("equal: 2 tensors");
    assertThat(text.err()).contains("no state tree");
  }

  @Test
  void aDifferenceEndsWithOneAndIsNoFailure() throws IOException {
    Path before = file("before.safetensors");
    Path after = file("after.safetensors");
    // The lowest bit of the last element of bias, 0x3f82: 1.015625 becomes 1.0234375.
    flip(after, 2);
    Ran ran = Ran.keepstone("diff", before.toString(), after.toString(), "--json");
    assertThat(ran.code()).isEqualTo(1);
    assertThat(ran.json().bool("ok")).isTrue();
    Examples.assertKept("diff", ran.json());
    Json.Obj change = (Json.Obj) ran.json().array("changed").getFirst();
    assertThat(change.text("name")).isEqualTo("bias");
    assertThat(change.text("kind")).isEqualTo("values");
    assertThat(change.real("max_abs")).isEqualTo(0.0078125);

    Ran text = Ran.keepstone("diff", before.toString(), after.toString());
    assertThat(text.code()).isEqualTo(1);
    assertThat(text.out()).startsWith("tensors: 1 changed, 1 unchanged, ").contains("0.00781");
    assertThat(text.out().lines()).allSatisfy(l -> assertThat(l).hasSizeLessThanOrEqualTo(80));

    Ran only =
        Ran.keepstone("diff", before.toString(), after.toString(), "--only", "we*", "--json");
    assertThat(only.code()).isZero();
    assertThat(only.json().integer("unchanged")).isEqualTo(1);
  }

  @Test
  void troubleEndsAboveOne() throws IOException {
    Path source = file("model.safetensors");
    String store = folder.resolve("ckpts").toString();
    Ran.keepstone("import", source.toString(), store + "/gpt");
    assertThat(Ran.keepstone("diff", source.toString(), store + "/none").code()).isEqualTo(5);
    assertThat(Ran.keepstone("diff", source.toString()).code()).isEqualTo(2);
    try (Stream<Path> files = Files.walk(folder.resolve("ckpts"))) {
      flip(files.filter(f -> f.toString().endsWith(".safetensors")).findFirst().orElseThrow(), 1);
    }
    Ran bad = Ran.keepstone("diff", source.toString(), store + "/gpt", "--json");
    assertThat(bad.code()).isEqualTo(6);
    assertThat(bad.error().text("on")).contains("bias");
  }
}
