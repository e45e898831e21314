package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The verbs over a checkpoint that `import` has put into a store.
class StoredTest {
  @TempDir Path folder;
  private String store = "";
  private Path source = Path.of("");

  @BeforeEach
  void importOne() throws IOException {
    store = folder.resolve("ckpts").toString();
    source = Tensors.write(folder.resolve("model.safetensors"));
    Ran ran = Ran.keepstone("import", source.toString(), store + "/gpt", "--step", "40", "--json");
    assertThat(ran.err()).isEmpty();
    assertThat(ran.code()).isZero();
    Examples.assertKept("import", ran.json());
    assertThat(ran.json().text("id")).isEqualTo("1-40");
  }

  @Test
  void lsListsItWithItsAgeAndWhyItIsKept() {
    Ran json = Ran.keepstone("ls", store, "--json");
    Examples.assertKept("ls", json.json());
    Json.Obj run = (Json.Obj) json.json().array("runs").getFirst();
    Json.Obj checkpoint = (Json.Obj) run.array("checkpoints").getFirst();
    assertThat(checkpoint.text("id")).isEqualTo("1-40");
    assertThat(checkpoint.text("state")).isEqualTo("complete");
    assertThat(checkpoint.bool("on_line")).isTrue();

    List<String> lines = Ran.keepstone("ls", store + "/gpt").out().lines().toList();
    assertThat(lines.get(0)).startsWith("gpt   1 checkpoint · ").contains("latest 1-40 (now)");
    assertThat(lines.get(1)).startsWith("  id    step  age");
    assertThat(lines.get(2)).startsWith("  1-40    40  now").endsWith("latest");
    assertThat(lines).allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(80));
  }

  @Test
  void jsonLinesEndInTheDocument() {
    Ran ran = Ran.keepstone("verify", store + "/gpt", "--deep", "--json-lines");
    assertThat(ran.code()).isZero();
    Json.Obj summary = ran.json();
    assertThat(summary.text("type")).isEqualTo("summary");
    assertThat(summary.text("command")).isEqualTo("verify");
    assertThat(summary.bool("deep")).isTrue();

    Ran failed = Ran.keepstone("verify", store + "/none", "--json-lines");
    assertThat(failed.code()).isEqualTo(ExitCode.NOT_FOUND.number);
    assertThat(failed.out().lines())
        .satisfiesExactly(
            line -> assertThat(line).startsWith("{\"v\":1,\"type\":\"error\",\"code\":5,"),
            line ->
                assertThat(line)
                    .startsWith(
                        "{\"v\":1,\"type\":\"summary\",\"command\":\"verify\",\"ok\":false,"));
  }

  @Test
  void aFolderWithoutAManifestIsListedAsWhatItIs() throws IOException {
    Files.createDirectories(folder.resolve("ckpts/gpt/checkpoints/1-20"));
    Files.createDirectories(folder.resolve("ckpts/gpt/checkpoints/1-60"));
    Json.Obj run = (Json.Obj) Ran.keepstone("ls", store, "--json").json().array("runs").getFirst();
    assertThat(run.array("checkpoints"))
        .extracting(c -> ((Json.Obj) c).text("id") + " " + ((Json.Obj) c).text("state"))
        .containsExactly("1-60 saving", "1-40 complete", "1-20 incomplete");
  }

  @Test
  void aStartThatHasNotChosenYetIsSaid() throws IOException {
    String start = Files.readString(folder.resolve("ckpts/gpt/starts/1.json"));
    // A second start without a decision: the checksum is of no matter to who only lists names.
    Files.writeString(folder.resolve("ckpts/gpt/starts/2.json"), start);
    assertThat(Ran.keepstone("ls", store).out()).contains("start 2 has not chosen its parent yet");
    Ran show = Ran.keepstone("show", store + "/gpt", "--json");
    assertThat(show.json().bool("undecided")).isTrue();
    assertThat(show.json().text("id")).isEqualTo("1-40");
  }

  @Test
  void showTellsTheCheckpointAndEightyColumnsHoldIt() {
    Ran ran = Ran.keepstone("show", store + "/gpt@latest", "--json");
    Examples.assertKept("show", ran.json());
    assertThat(ran.json().integer("tensors")).isEqualTo(2);
    assertThat(ran.json().integer("ranks")).isEqualTo(1);
    assertThat(ran.json().bool("loadable_as_is")).isTrue();
    assertThat(Ran.keepstone("show", store).out()).startsWith("gpt@1-40   step 40");
  }

  @Test
  void inspectAndExportGiveBackTheSourcesBytes() throws IOException {
    Ran inspected = Ran.keepstone("inspect", store + "/gpt@40", "--json");
    Examples.assertKept("inspect", inspected.json());
    assertThat(inspected.json().text("format")).isEqualTo("keepstone");

    Path target = folder.resolve("out.safetensors");
    assertThat(Ran.keepstone("export", store, target.toString()).code()).isZero();
    byte[] original = Files.readAllBytes(source);
    byte[] exported = Files.readAllBytes(target);
    assertThat(List.of(tail(exported))).isEqualTo(List.of(tail(original)));
  }

  private static String tail(byte[] file) {
    return HexFormat.of().formatHex(file, file.length - 30, file.length);
  }

  @Test
  void verifyNamesFileTensorAndBytesOfOneFlippedBit() throws IOException {
    assertThat(Ran.keepstone("verify", store).code()).isZero();
    Ran good = Ran.keepstone("verify", store + "/gpt", "--deep", "--json");
    Examples.assertKept("verify", good.json());
    assertThat(good.json().array("problems")).isEmpty();

    Path shard = shard();
    try (RandomAccessFile file = new RandomAccessFile(shard.toFile(), "rw")) {
      file.seek(file.length() - 1);
      int last = file.read();
      file.seek(file.length() - 1);
      file.write(last ^ 1);
    }
    assertThat(Ran.keepstone("verify", store).code()).as("sizes are right").isZero();
    Ran bad = Ran.keepstone("verify", store, "--deep", "--json");
    assertThat(bad.code()).isEqualTo(6);
    assertThat(bad.json().bool("ok")).isFalse();
    assertThat(bad.error().integer("code")).isEqualTo(6);
    Json.Obj problem = (Json.Obj) bad.json().array("problems").getFirst();
    assertThat(problem.text("file")).endsWith(shard.getFileName().toString());
    assertThat(problem.text("tensor")).isEqualTo("bias");
    assertThat(problem.text("kind")).isEqualTo("checksum");
    long end = problem.integer("offset") + problem.integer("length");
    assertThat(end).isEqualTo(Files.size(shard));
  }

  @Test
  void verifyNamesAMissingFile() throws IOException {
    Path shard = shard();
    Files.delete(shard);
    Ran ran = Ran.keepstone("verify", store, "--json");
    assertThat(ran.code()).isEqualTo(6);
    assertThat(((Json.Obj) ran.json().array("problems").getFirst()).text("kind"))
        .isEqualTo("missing");
    assertThat(ran.err().lines()).hasSize(3);
  }

  @Test
  void whatOnlyLooksChangesNoByte() throws IOException {
    Map<String, String> before = bytes();
    Ran.keepstone("ls", store);
    Ran.keepstone("show", store);
    Ran.keepstone("inspect", store);
    Ran.keepstone("verify", store, "--deep", "--no-record");
    Ran.keepstone("import", source.toString(), store + "/gpt");
    assertThat(bytes()).isEqualTo(before);
  }

  private Map<String, String> bytes() throws IOException {
    Map<String, String> bytes = new TreeMap<>();
    try (Stream<Path> files = Files.walk(folder.resolve("ckpts"))) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        bytes.put(file.toString(), HexFormat.of().formatHex(Files.readAllBytes(file)));
      }
    }
    return bytes;
  }

  private Path shard() throws IOException {
    try (Stream<Path> files = Files.list(folder.resolve("ckpts/gpt/checkpoints/1-40"))) {
      return files
          .filter(file -> file.getFileName().toString().startsWith("model-"))
          .findFirst()
          .orElseThrow();
    }
  }
}
