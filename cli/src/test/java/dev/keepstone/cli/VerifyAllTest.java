package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.verify.Scrub;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VerifyAllTest {
  @TempDir Path folder;
  private String store = "";
  private @Nullable Saves made;

  @BeforeEach
  void threeCheckpoints() throws IOException {
    Path source = Tensors.write(folder.resolve("model.safetensors"));
    store = folder.resolve("ckpts").toString();
    Ran.keepstone("import", source.toString(), store + "/gpt", "--step", "40");
    Saves saves = new Saves(Path.of(store), "gpt");
    made = saves;
    saves.start(Wanted.LATEST);
    saves.save(2, 60, 1, 2);
    saves.save(2, 80, 3, 4);
  }

  private Path shard(String id) throws IOException {
    try (Stream<Path> files = Files.list(Path.of(store, "gpt/checkpoints", id))) {
      return files
          .filter(file -> file.toString().endsWith(".safetensors"))
          .findFirst()
          .orElseThrow();
    }
  }

  private static void flipLast(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);
  }

  private String latest() {
    return Ran.keepstone("show", store, "--json").json().text("id");
  }

  private static List<String> seen(Ran ran) {
    return ran.json().array("checkpoints").stream()
        .map(Json.Obj.class::cast)
        .map(one -> one.text("id") + " " + one.bool("ok") + " " + one.bool("quarantined"))
        .toList();
  }

  @Test
  void aStoreIsVerifiedWholeAndABadCheckpointIsNeverLatestUntilItIsGoodAgain() throws IOException {
    Ran good = Ran.keepstone("verify", store, "--json");
    assertThat(seen(good)).containsExactly("2-80 true false", "2-60 true false", "1-40 true false");
    assertThat(good.json().integer("files")).isGreaterThan(10);

    byte[] sound = Files.readAllBytes(shard("2-80"));
    flipLast(shard("2-80"));
    Ran unrecorded = Ran.keepstone("verify", store, "--deep", "--no-record", "--json");
    assertThat(unrecorded.code()).isEqualTo(6);
    assertThat(latest()).isEqualTo("2-80");
    Ran bad = Ran.keepstone("verify", store + "/gpt", "--deep", "--json");
    assertThat(bad.code()).isEqualTo(6);
    assertThat(seen(bad)).containsExactly("2-80 false true", "2-60 true false", "1-40 true false");
    assertThat(Ran.keepstone("verify", store, "--deep").out())
        .contains("quarantined, so never latest: gpt@2-80");
    assertThat(latest()).isEqualTo("2-60");

    Files.write(shard("2-80"), sound);
    assertThat(Ran.keepstone("verify", store + "/gpt@2-80").code()).isZero();
    assertThat(latest()).as("names and sizes were right all the time").isEqualTo("2-60");
    assertThat(Ran.keepstone("verify", store + "/gpt@2-80", "--deep").code()).isZero();
    assertThat(latest()).isEqualTo("2-80");
  }

  @Test
  void theNextStartPassesAQuarantinedCheckpointOverAndFailsWhereAllAre() throws IOException {
    flipLast(shard("2-80"));
    Ran.keepstone("verify", store, "--deep");
    assertThat(Objects.requireNonNull(made).start(Wanted.LATEST)).isEqualTo(3);
    assertThat(Ran.keepstone("lineage", store, "--json").json().text("id")).isEqualTo("2-60");
  }

  @Test
  void aScrubBeginsWithWhatWasVerifiedLeastRecentlyAndIsHeldToItsRate() {
    Ran.keepstone("verify", store + "/gpt@2-80", "--deep");
    var run = Objects.requireNonNull(made).run();
    assertThat(Scrub.order(run.look()))
        .extracting(Object::toString)
        .containsExactly("2-60", "1-40", "2-80");
    Ran scrubbed = Ran.keepstone("verify", store, "--scrub", "--limit-rate", "1GiB", "--json");
    assertThat(seen(scrubbed))
        .containsExactly("2-60 true false", "1-40 true false", "2-80 true false");
    assertThat(scrubbed.json().bool("deep")).isTrue();
  }

  @Test
  void aDamagedManifestIsNamedToo() throws IOException {
    Path manifest = Path.of(store, "gpt/manifests/2-60.json");
    Files.writeString(manifest, Files.readString(manifest).replace("\"world\":1", "\"world\":2"));
    Ran ran = Ran.keepstone("verify", store, "--json");
    assertThat(ran.code()).isEqualTo(6);
    assertThat(ran.json().array("problems").toString()).contains("manifests/2-60.json");
    assertThat(Ran.keepstone("verify", store).out()).contains("2-60.json: malformed");
  }
}
