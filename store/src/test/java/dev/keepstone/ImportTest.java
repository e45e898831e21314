package dev.keepstone;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredTensor;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.manifest.Manifest;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import dev.keepstone.store.verify.Verify;
import dev.keepstone.testkit.FaultyDisk;
import dev.keepstone.testkit.FaultyDisk.Fault;
import dev.keepstone.testkit.MemoryDisk;
import dev.keepstone.testkit.Operation;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ImportTest {
  private static final String SOURCE = "/home/in/weights";
  private static final String TARGET = "/home/ckpts/gpt";

  private MemoryDisk disk = new MemoryDisk();
  private Map<String, byte[]> content = Map.of();

  @BeforeEach
  void writeSource() throws IOException {
    disk = new MemoryDisk();
    content = ForeignFile.write(disk, Path.of(SOURCE), Map.of("step", "500"));
    try (OpenFile config = disk.create(Path.of("/home/in/config.json"))) {
      config.write(0, MemorySegment.ofArray("{\"model_type\":\"x\"}".getBytes(UTF_8)));
    }
  }

  private static Import.Report importInto(Disk disk, String target) {
    return Import.run(ExportTest.host(disk), SOURCE, target, Import.Options.DEFAULT, Progress.NONE);
  }

  private Run run(Disk on, String store) {
    return Store.open(ExportTest.host(on), Path.of(store)).run(Optional.empty());
  }

  private static Map<String, byte[]> read(Disk disk, String reference) throws IOException {
    try (CheckpointView view = Checkpoints.open(ExportTest.host(disk), reference)) {
      return ForeignFile.read(view);
    }
  }

  @Test
  void anImportIsTheFirstCheckpointOfANewRunWithEveryBit() throws IOException {
    Import.Report report = importInto(disk, TARGET);
    assertThat(report.id()).isEqualTo(new CheckpointId(1, 500));
    View view = run(disk, "/home/ckpts").look();
    assertThat(view.visible()).containsExactly(new CheckpointId(1, 500));
    assertThat(view.damaged()).isEmpty();
    assertThat(Verify.deep(run(disk, "/home/ckpts"), report.id(), _ -> {}).problems()).isEmpty();
    assertThat(read(disk, TARGET)).containsExactlyInAnyOrderEntriesOf(content);
    assertThat(read(disk, TARGET + "@500")).hasSameSizeAs(content);
    assertThat(report.report().operations()).hasSize(content.size());
    assertThat(report.report().bytesRead())
        .isEqualTo(content.values().stream().mapToLong(bytes -> bytes.length).sum());
  }

  @Test
  void whatIsImportedAndExportedAgainIsTheSameFile() throws IOException {
    importInto(disk, TARGET);
    Path direct = Path.of("/home/direct.safetensors");
    Path around = Path.of("/home/around.safetensors");
    Export.run(ExportTest.host(disk), SOURCE, direct, Export.Options.DEFAULT, Progress.NONE);
    Export.run(ExportTest.host(disk), TARGET, around, Export.Options.DEFAULT, Progress.NONE);
    assertThat(bytes(around)).isEqualTo(bytes(direct));
  }

  private byte[] bytes(Path path) throws IOException {
    try (OpenFile file = disk.open(path)) {
      byte[] bytes = new byte[(int) file.size()];
      file.read(0, MemorySegment.ofArray(bytes));
      return bytes;
    }
  }

  @Test
  void theReceiptTellsPlacesChecksumsAndHealth() {
    importInto(disk, TARGET);
    Run run = run(disk, "/home/ckpts");
    Manifest manifest = run.manifest(new CheckpointId(1, 500));
    Part part = run.parts(manifest).getFirst();
    ShardReceipt shard = part.shards().getFirst();
    assertThat(shard.component()).isEqualTo("model");
    assertThat(shard.header() % 4096).isZero();
    assertThat(manifest.summary().health().text()).isEqualTo("ok");
    assertThat(manifest.summary().tensors()).isEqualTo(content.size());
    for (PieceReceipt piece : shard.pieces()) {
      Dtype dtype = piece.piece().tensor().dtype();
      assertThat(piece.health() != null)
          .isEqualTo(dtype == Dtype.F32 || dtype == Dtype.F64 || dtype == Dtype.BF16);
    }
    assertThat(part.extra().stream().map(extra -> extra.file()).toList())
        .containsExactly("model.safetensors.index.json", "config.json");
    assertThat(JsonWriter.compact(part.provenance())).contains("imported_from");
  }

  @Test
  void theFolderLoadsAsItLiesAndTheStateNamesEveryTensor() throws IOException {
    importInto(disk, TARGET);
    assertThat(read(disk, TARGET + "/checkpoints/1-500"))
        .containsExactlyInAnyOrderEntriesOf(content);
    try (CheckpointView view = Checkpoints.open(ExportTest.host(disk), TARGET)) {
      assertThat(view.config()).contains("{\"model_type\":\"x\"}".getBytes(UTF_8));
      String state = JsonWriter.compact(view.state().orElseThrow());
      for (Tensor tensor : ForeignFile.TENSORS) {
        assertThat(state)
            .contains(
                "\"%s\":{\"~\":\"tensor\",\"component\":\"model\",\"name\":\"%s\"}"
                    .formatted(tensor.name(), tensor.name()));
      }
    }
  }

  @Test
  void aCheckpointOfOneStoreGoesIntoAnotherWithoutWhatWasSaidOfIt() throws IOException {
    importInto(disk, TARGET);
    Run told = run(disk, "/home/ckpts");
    CheckpointId there = told.look().latest().orElseThrow();
    Journal.of(told, ExportTest.host(disk).clock(), "0000000a", "test")
        .append(
            List.of(
                new Fact.Pin(there, true, "best"),
                new Fact.Tag("paper", Optional.of(there)),
                new Fact.Metrics(there, Json.object().put("val_loss", 2.5).build())));
    Import.Report report =
        Import.run(
            ExportTest.host(disk),
            TARGET,
            "/home/other/copy",
            new Import.Options(OptionalLong.of(7), false),
            Progress.NONE);
    assertThat(report.id()).isEqualTo(new CheckpointId(1, 7));
    assertThat(read(disk, "/home/other/copy@7")).containsExactlyInAnyOrderEntriesOf(content);
    // What was measured and said of it was so of that run, and is no claim about this one.
    View view = run(disk, "/home/other").look();
    assertThat(view.metrics(report.id()).fields()).isEmpty();
    assertThat(view.facts().tagsOf(report.id())).isEmpty();
    assertThat(view.facts().pinned(report.id())).isFalse();
  }

  @Test
  void anExistingRunAndAFolderThatIsNoStoreAreLeftAlone() {
    importInto(disk, TARGET);
    assertThatThrownBy(() -> importInto(disk, TARGET))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining("the run exists");
    assertThat(importInto(disk, "/home/ckpts/second").id()).isEqualTo(new CheckpointId(1, 500));
    for (String target : List.of("/home/in/gpt", "/home/ckpts", "/home/ckpts/a@b", "/home/x/-y")) {
      assertThatThrownBy(() -> importInto(disk, target))
          .isInstanceOf(KeepstoneException.class)
          .isNotInstanceOf(KeepstoneException.Failed.class);
    }
  }

  @Test
  void aFlippedBitIsNamedByFileTensorAndBytesAndNeverHandedOut() throws IOException {
    importInto(disk, TARGET);
    Run run = run(disk, "/home/ckpts");
    ShardReceipt shard =
        run.parts(run.manifest(new CheckpointId(1, 500))).getFirst().shards().getFirst();
    Path path = Path.of(TARGET, "checkpoints", "1-500", shard.file());
    PieceReceipt piece =
        shard.pieces().stream()
            .filter(p -> p.piece().tensor().name().equals("layers.0.weight"))
            .findFirst()
            .orElseThrow();
    byte[] whole = bytes(path);
    whole[(int) piece.at() + 1_048_576 + 3] ^= 4;
    disk.delete(path);
    try (OpenFile file = disk.create(path)) {
      file.write(0, MemorySegment.ofArray(whole));
    }
    String range = (piece.at() + 1_048_576) + ".." + (piece.at() + piece.bytes() - 1);
    try (CheckpointView view = Checkpoints.open(ExportTest.host(disk), TARGET)) {
      StoredTensor tensor =
          view.tensors().stream()
              .filter(t -> t.tensor().name().equals("layers.0.weight"))
              .findFirst()
              .orElseThrow();
      MemorySegment into = MemorySegment.ofArray(new byte[10]);
      view.read(tensor, tensor.pieces().getFirst(), 1_048_566, into);
      assertThatThrownBy(() -> view.read(tensor, tensor.pieces().getFirst(), 1_048_567, into))
          .isInstanceOf(KeepstoneException.Integrity.class)
          .hasMessageContaining("bytes " + range)
          .hasMessageContaining(shard.file() + ", tensor \"layers.0.weight\"");
    }
    assertThatThrownBy(() -> read(disk, TARGET)).isInstanceOf(KeepstoneException.Integrity.class);
  }

  @Test
  void anyStretchOfATensorReadsLikeTheWhole() throws IOException {
    importInto(disk, TARGET);
    byte[] whole = content.getOrDefault("layers.0.weight", new byte[0]);
    Random random = new Random(3);
    try (CheckpointView view = Checkpoints.open(ExportTest.host(disk), TARGET)) {
      StoredTensor tensor =
          view.tensors().stream()
              .filter(t -> t.tensor().name().equals("layers.0.weight"))
              .findFirst()
              .orElseThrow();
      for (int i = 0; i < 60; i++) {
        int from = i % 3 == 0 ? random.nextInt(2) * 1_048_576 : random.nextInt(whole.length);
        int to = i % 5 == 0 ? whole.length : from + random.nextInt(whole.length - from + 1);
        byte[] bytes = new byte[to - from];
        view.read(tensor, tensor.pieces().getFirst(), from, MemorySegment.ofArray(bytes));
        assertThat(bytes).isEqualTo(Arrays.copyOfRange(whole, from, to));
      }
      assertThat(run(disk, "/home/ckpts").tier().list("gpt/holds")).hasSize(1);
    }
    assertThat(run(disk, "/home/ckpts").tier().list("gpt/holds")).isEmpty();
  }

  /// Every act on the disk fails once, in each of these ways.
  @ParameterizedTest
  @EnumSource(
      value = Fault.class,
      names = {"INPUT_OUTPUT", "CRASH"})
  void whateverFailsThereIsAWholeCheckpointOrNone(Fault fault) throws IOException {
    for (int n = 1; ; n++) {
      writeSource();
      FaultyDisk faulty = new FaultyDisk(disk).failing(Operation.nth(n), fault);
      boolean failed = false;
      try {
        importInto(faulty, TARGET);
      } catch (KeepstoneException | FaultyDisk.Crashed e) {
        failed = true;
      }
      List<MemoryDisk> left = List.of(disk, disk.afterCrash(new Random(n)));
      for (MemoryDisk after : fault == Fault.CRASH ? left : List.of(disk)) {
        if (visible(after)) {
          assertThat(ForeignFile.same(read(after, TARGET), content)).as("operation %d", n).isTrue();
        } else {
          assertThat(failed).as("operation %d", n).isTrue();
        }
      }
      if (!failed && faulty.operations().size() < n) {
        assertThat(n).isGreaterThan(60);
        return;
      }
    }
  }

  private boolean visible(MemoryDisk after) throws IOException {
    return !after.list(Path.of(TARGET, "manifests")).isEmpty()
        && !run(after, "/home/ckpts").look().visible().isEmpty();
  }

  @Test
  void aSourceThatBreaksInTheMiddleLeavesNoRun() throws IOException {
    FaultyDisk faulty =
        new FaultyDisk(disk)
            .failing(
                op ->
                    op.act() == Operation.Act.READ
                        && op.path().endsWith("weights")
                        && op.number() > 20,
                Fault.INPUT_OUTPUT);
    assertThatThrownBy(() -> importInto(faulty, TARGET)).isInstanceOf(KeepstoneException.class);
    assertThat(disk.list(Path.of("/home/ckpts"))).isEmpty();
  }
}
