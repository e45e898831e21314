package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.Host;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CopyTest {
  @TempDir Path folder;
  private String gpt = "";
  private String backup = "";
  private @Nullable Saves made;

  @BeforeEach
  void twoStartsOfOneRun() throws IOException {
    Path source = Tensors.write(folder.resolve("model.safetensors"));
    Path store = folder.resolve("ckpts");
    gpt = store + "/gpt";
    backup = folder.resolve("backup").toString();
    Ran.keepstone("import", source.toString(), gpt, "--step", "40");
    Saves saves = new Saves(store, "gpt");
    made = saves;
    saves.start(Wanted.LATEST);
    // Several requests, so that writing goes on beside reading.
    saves.save(2, 60, new Random(1), 20_000_003);
    saves.save(2, 80, 1, 2, 3, 4);
  }

  private Saves saves() {
    return Objects.requireNonNull(made);
  }

  private Path shard(String store, String id) throws IOException {
    try (Stream<Path> files = Files.list(Path.of(store, "gpt/checkpoints", id))) {
      return files
          .filter(file -> file.toString().endsWith(".safetensors"))
          .findFirst()
          .orElseThrow();
    }
  }

  private static void flip(Path file, long at) throws IOException {
    try (RandomAccessFile opened = new RandomAccessFile(file.toFile(), "rw")) {
      opened.seek(at);
      int before = opened.read();
      opened.seek(at);
      opened.write(before ^ 0x10);
    }
  }

  private static String text(Json.Obj document, String field) {
    return document.array(field).toString();
  }

  @Test
  void theSameRunIdAndBytesAreThereAndAgainCostsNoByte() throws IOException {
    Ran ran = Ran.keepstone("copy", gpt + "@2-60", backup, "--json");
    assertThat(ran.err()).isEmpty();
    assertThat(ran.code()).isZero();
    Examples.assertKept("copy", ran.json());
    assertThat(ran.json().integer("bytes")).isGreaterThan(20_000_000);
    for (String object :
        List.of("run.json", "manifests/2-60.json", "starts/2.parent.json", "starts/1.json")) {
      assertThat(Path.of(backup, "gpt", object)).hasSameBinaryContentAs(Path.of(gpt, object));
    }
    assertThat(Ran.keepstone("verify", backup, "--deep").code()).isZero();
    assertThat(Ran.keepstone("diff", gpt + "@2-60", backup).code()).isZero();
    assertThat(Ran.keepstone("show", backup, "--json").json().text("id")).isEqualTo("2-60");
    Ran lineage = Ran.keepstone("lineage", backup, "--json");
    assertThat(lineage.json().array("chain"))
        .extracting(link -> ((Json.Obj) link).text("id") + " " + ((Json.Obj) link).text("state"))
        .containsExactly("2-60 complete", "1-40 absent");
    try (Stream<Path> files = Files.walk(Path.of(gpt, "holds"))) {
      assertThat(files.filter(Files::isRegularFile)).as("holds are over").isEmpty();
    }

    Ran again = Ran.keepstone("copy", gpt + "@2-60", backup, "--json");
    assertThat(again.json().integer("bytes")).isZero();
    assertThat(again.json().integer("kept_bytes")).isEqualTo(ran.json().integer("bytes"));
    assertThat(Ran.keepstone("copy", gpt, backup).out()).startsWith("copied gpt@2-80: ");
    assertThat(Ran.keepstone("show", backup, "--json").json().text("id")).isEqualTo("2-80");
  }

  @Test
  void whatAnInterruptedCopyLeftIsKeptWhereItIsWholeAndNothingOfItIsVisible() throws IOException {
    assertThatThrownBy(() ->
            dev.keepstone.Copy.run(
                Host.local(),
                gpt + "@2-60",
                backup,
                (done, total) -> Thread.currentThread().interrupt()))
        .isInstanceOf(IOException.class);
    Thread.interrupted();
    assertThat(Ran.keepstone("ls", backup, "--json").json().array("runs")).isEmpty();
    try (Stream<Path> files = Files.walk(Path.of(backup, "gpt"))) {
      assertThat(files.filter(Files::isRegularFile)).as("no half of a shard").isEmpty();
    }

    Path whole = shard(folder.resolve("ckpts").toString(), "2-60");
    Path there = Path.of(backup, "gpt/checkpoints/2-60").resolve(whole.getFileName());
    Files.copy(whole, there);
    Ran kept = Ran.keepstone("copy", gpt + "@2-60", backup, "--json");
    assertThat(kept.json().integer("bytes")).isZero();
    assertThat(kept.json().integer("kept_bytes")).isEqualTo(Files.size(whole));
    assertThat(Ran.keepstone("verify", backup, "--deep").code()).isZero();
  }

  @Test
  void aDamagedCopyIsMendedAndItsQuarantineLifted() throws IOException {
    Ran.keepstone("copy", gpt, backup);
    Path shard = shard(backup, "2-80");
    flip(shard, Files.size(shard) - 1);
    assertThat(Ran.keepstone("verify", backup, "--deep").code()).isEqualTo(6);
    assertThat(Ran.keepstone("show", backup).code()).as("nothing else is there").isEqualTo(5);
    Ran mended = Ran.keepstone("copy", gpt, backup, "--json");
    assertThat(mended.code()).isZero();
    assertThat(Ran.keepstone("show", backup, "--json").json().text("id")).isEqualTo("2-80");
    assertThat(shard).hasSameBinaryContentAs(shard(folder.resolve("ckpts").toString(), "2-80"));
  }

  @Test
  void aDamagedSourceIsNotCopied() throws IOException {
    flip(shard(folder.resolve("ckpts").toString(), "2-60"), 12_345_678);
    Ran ran = Ran.keepstone("copy", gpt + "@2-60", backup, "--json");
    assertThat(ran.code()).isEqualTo(6);
    assertThat(ran.error().text("what")).contains("tensor weight");
    assertThat(Ran.keepstone("ls", backup, "--json").json().array("runs")).isEmpty();
  }

  @Test
  void anotherRunAndAnotherWayOfTheSameRunAreRefused() throws IOException {
    Path source = folder.resolve("model.safetensors");
    Ran.keepstone("import", source.toString(), backup + "/gpt");
    Ran other = Ran.keepstone("copy", gpt, backup);
    assertThat(other.code()).isEqualTo(7);
    assertThat(other.err()).contains("another run of that name");
    assertThat(Ran.keepstone("copy", gpt, backup + "/gpt-2").code()).isZero();

    // The copy is trained on, and so is the original: two starts of one number.
    new Saves(Path.of(backup), "gpt-2").start(Wanted.LATEST);
    saves().start(Wanted.LATEST);
    saves().save(3, 100, 1);
    Ran parted = Ran.keepstone("copy", gpt, backup + "/gpt-2");
    assertThat(parted.code()).isEqualTo(7);
    assertThat(parted.err()).contains("another way").contains("3");
    assertThat(Ran.keepstone("copy", gpt, gpt).code()).isEqualTo(7);
  }

  @Test
  void whatItUsesOfOthersComesAlong() throws IOException {
    CheckpointId owner = new CheckpointId(2, 90);
    ShardReceipt frozen =
        saves()
            .shard(owner, "frozen", "embedding", Dtype.U8, MemorySegment.ofArray(new byte[5000]));
    saves().commit(owner, List.of(frozen));
    CheckpointId user = new CheckpointId(2, 95);
    ShardReceipt own =
        saves().shard(user, "model", "weight", Dtype.U8, MemorySegment.ofArray(new byte[9]));
    saves().commit(user, List.of(own, frozen.usedFrom(owner)));
    Ran ran = Ran.keepstone("copy", gpt, backup, "--json");
    assertThat(ran.code()).isZero();
    assertThat(text(ran.json(), "with")).contains("2-90");
    assertThat(Ran.keepstone("verify", backup, "--deep").code()).isZero();
    assertThat(Ran.keepstone("diff", gpt, backup).code()).isZero();
  }

  @Test
  void factsGoAlong() {
    CheckpointId id = new CheckpointId(2, 80);
    Host host = Host.local();
    Journal.of(saves().run(), host.clock(), host.nonce(), "test")
        .append(
            List.of(
                new Fact.Pin(id, true, "paper"),
                new Fact.Tag("release", Optional.of(id)),
                new Fact.Note(id, "the good one"),
                new Fact.Metrics(id, Json.object().put("val_loss", 2.5).build())));
    Ran ran = Ran.keepstone("copy", gpt + "@release", backup, "--json");
    assertThat(ran.json().integer("facts")).isEqualTo(4);
    Ran tagged = Ran.keepstone("show", backup + "/gpt@release", "--json");
    assertThat(tagged.json().text("id")).isEqualTo("2-80");
    assertThat(Ran.keepstone("copy", gpt, backup, "--json").json().integer("facts")).isZero();
  }

  @Test
  void aPlainCopyARenamedRunAndAMovedStoreAreTheSameStore() throws IOException {
    Ran.keepstone("rollback", gpt, "--to", "2-60", "--yes");
    saves().save(3, 70, 5);
    Json.Obj before = checkpoints(folder.resolve("ckpts"));
    Path copied = folder.resolve("copied");
    try (Stream<Path> files = Files.walk(folder.resolve("ckpts"))) {
      for (Path file : files.toList()) {
        Files.copy(file, copied.resolve(folder.resolve("ckpts").relativize(file).toString()));
      }
    }
    assertThat(checkpoints(copied)).isEqualTo(before);
    Files.move(copied.resolve("gpt"), copied.resolve("renamed"));
    Files.move(copied, folder.resolve("moved"));
    Path moved = folder.resolve("moved");
    assertThat(checkpoints(moved).array("checkpoints")).isEqualTo(before.array("checkpoints"));
    assertThat(Ran.keepstone("verify", moved.toString(), "--deep").code()).isZero();
    assertThat(Ran.keepstone("lineage", moved.toString(), "--json").json().array("chain"))
        .isEqualTo(Ran.keepstone("lineage", gpt, "--json").json().array("chain"));
    new Saves(moved, "renamed").start(Wanted.LATEST);
    assertThat(Ran.keepstone("show", moved.toString(), "--json").json().text("id"))
        .isEqualTo("3-70");
  }

  private static Json.Obj checkpoints(Path store) {
    return (Json.Obj)
        Ran.keepstone("ls", store.toString(), "--json").json().array("runs").getFirst();
  }
}
