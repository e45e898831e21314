package dev.keepstone.core.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.format.safetensors.SafetensorsView;
import dev.keepstone.core.format.safetensors.SafetensorsWriter;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.core.view.StoredTensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConversionTest {
  private static final Disk DISK = Disk.local();
  private static final ConvertPlan.SmallFile CONFIG =
      new ConvertPlan.SmallFile("config.json", "{}".getBytes(StandardCharsets.UTF_8));

  @TempDir Path folder;
  private Path source;
  private final Map<String, byte[]> content = new LinkedHashMap<>();

  @BeforeEach
  void writeSource() throws IOException {
    List<Tensor> tensors =
        List.of(
            new Tensor("layers.0.weight", Dtype.BF16, Shape.of(1000, 5)),
            new Tensor("layers.1.weight", Dtype.F32, Shape.of(5_000_000)),
            new Tensor("mask", Dtype.BOOL, Shape.of(7)),
            new Tensor("phase", Dtype.C128, Shape.of(3)),
            new Tensor("empty", Dtype.I64, Shape.of(0, 4)),
            new Tensor("scalar", Dtype.F64, Shape.SCALAR));
    source = folder.resolve("source");
    Random random = new Random(1);
    try (OpenFile file = DISK.create(source);
        SafetensorsWriter writer = SafetensorsWriter.begin(file, tensors, Map.of())) {
      for (Tensor tensor : tensors) {
        byte[] bytes = new byte[(int) tensor.byteLength()];
        random.nextBytes(bytes);
        content.put(tensor.name(), bytes);
        writer.write(MemorySegment.ofArray(bytes));
      }
      writer.finish();
    }
  }

  private static ConvertPlan.Wish wish(Selection selection, boolean folder, long maxShardBytes) {
    return new ConvertPlan.Wish(selection, folder, maxShardBytes, List.of(CONFIG));
  }

  private ConvertReport convert(Path target, ConvertPlan.Wish wish, Progress progress)
      throws IOException {
    try (SafetensorsView view = SafetensorsView.open(DISK, source).orElseThrow()) {
      ConvertPlan plan = ConvertPlan.toSafetensors(view.tensors(), wish);
      return Conversion.run(DISK, view, plan, target, progress);
    }
  }

  private static Map<String, byte[]> read(Path path) throws IOException {
    Map<String, byte[]> read = new LinkedHashMap<>();
    try (CheckpointView view = SafetensorsView.open(DISK, path).orElseThrow()) {
      for (StoredTensor tensor : view.tensors()) {
        byte[] bytes = new byte[(int) tensor.tensor().byteLength()];
        view.read(tensor, tensor.pieces().getFirst(), 0, MemorySegment.ofArray(bytes));
        read.put(tensor.tensor().name(), bytes);
      }
    }
    return read;
  }

  private List<String> namesIn(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void aFileHoldsEveryTensorBitForBit() throws IOException {
    Path target = folder.resolve("out.safetensors");
    List<Long> progress = new ArrayList<>();
    long total = content.values().stream().mapToLong(b -> b.length).sum();
    ConvertReport report =
        convert(
            target,
            wish(Selection.ALL, false, ConvertPlan.DEFAULT_MAX_SHARD_BYTES),
            (done, of) -> {
              assertThat(of).isEqualTo(total);
              progress.add(done);
            });
    assertThat(read(target)).containsExactlyInAnyOrderEntriesOf(content);
    assertThat(progress).isSorted().endsWith(total).hasSizeGreaterThan(3);
    assertThat(report.bytesRead()).isEqualTo(total);
    assertThat(report.bytesWritten()).isEqualTo(Files.size(target));
    assertThat(namesIn(folder)).containsExactly("out.safetensors", "source");
    assertThat(report.operations()).hasSize(content.size());
    for (ConvertReport.Done done : report.operations()) {
      byte[] bytes = Objects.requireNonNull(content.get(done.source()));
      assertThat(done.crc32()).isEqualTo(Crc32.of(bytes, 0, bytes.length));
    }
    assertThat(JsonWriter.compact(report.toJson()))
        .contains(
            "{\"sources\":[\"phase\"],\"operation\":\"copy\",\"target\":\"phase\",\"dtype\":\"C128\","
                + "\"shape\":[3],\"crc32\":\"")
        .endsWith("],\"unused\":[],\"unfilled\":[]}");
  }

  @Test
  void aSetIsCutInSourceOrderWithItsIndexAndWhatGoesBeside() throws IOException {
    Path target = folder.resolve("set");
    ConvertReport report = convert(target, wish(Selection.ALL, true, 10_100), Progress.NONE);
    assertThat(namesIn(target))
        .containsExactly(
            "config.json",
            "model-00001-of-00003.safetensors",
            "model-00002-of-00003.safetensors",
            "model-00003-of-00003.safetensors",
            "model.safetensors.index.json");
    assertThat(read(target)).containsExactlyInAnyOrderEntriesOf(content);
    assertThat(read(target.resolve("model-00002-of-00003.safetensors")))
        .containsOnlyKeys("layers.1.weight");
    assertThat(report.bytesWritten())
        .isEqualTo(
            namesIn(target).stream().mapToLong(n -> target.resolve(n).toFile().length()).sum());
    assertThat(namesIn(folder)).containsExactly("set", "source");
  }

  @Test
  void whatFitsGoesIntoAFolderAsOneFileWithoutIndex() throws IOException {
    Path target = folder.resolve("out");
    convert(target, wish(Selection.ALL, true, 1L << 40), Progress.NONE);
    assertThat(namesIn(target)).containsExactly("config.json", "model.safetensors");
  }

  @Test
  void patternsTakeAndLeaveTensorsAndWhatIsLeftIsTold() throws IOException {
    Path target = folder.resolve("out.safetensors");
    Selection selection = new Selection(List.of("layers.*", "?ask"), List.of("*.1.*"));
    ConvertReport report = convert(target, wish(selection, false, 1L << 40), Progress.NONE);
    assertThat(read(target)).containsOnlyKeys("layers.0.weight", "mask");
    assertThat(report.unused()).containsExactly("layers.1.weight", "phase", "empty", "scalar");
  }

  @Test
  void aPatternThatTakesNothingIsRefusedBeforeAnythingIsWritten() throws IOException {
    Selection selection = new Selection(List.of("layers.*", "decoder.*"), List.of());
    assertThatThrownBy(
            () -> convert(folder.resolve("out"), wish(selection, true, 1L << 40), Progress.NONE))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining("decoder.*");
    assertThat(namesIn(folder)).containsExactly("source");
  }

  @Test
  void tooManyBytesForOneFileAreRefusedWithBothWaysOut() {
    assertThatThrownBy(() ->
            convert(
                folder.resolve("out.safetensors"),
                wish(Selection.ALL, false, 10_100),
                Progress.NONE))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining("make 3 files of at most 10100")
        .hasMessageContaining("name a folder");
  }

  @Test
  void anExistingNameIsNeverReplaced() throws IOException {
    Path file = Files.writeString(folder.resolve("precious"), "mine");
    Path directory = Files.createDirectory(folder.resolve("emptyfolder"));
    for (Path target : List.of(file, directory)) {
      for (boolean asFolder : new boolean[] {true, false}) {
        assertThatThrownBy(
                () -> convert(target, wish(Selection.ALL, asFolder, 1L << 40), Progress.NONE))
            .isInstanceOf(KeepstoneException.Refused.class)
            .hasMessageContaining("taken");
      }
    }
    assertThat(file).hasContent("mine");
    assertThat(namesIn(folder)).containsExactly("emptyfolder", "precious", "source");
  }

  @Test
  void aNameTakenWhileTheBytesWereCopiedIsNotReplacedEither() {
    Path target = folder.resolve("out.safetensors");
    Progress thief =
        (done, total) -> {
          try {
            Files.writeString(target, "mine");
          } catch (IOException e) {
            throw new AssertionError(e);
          }
        };
    assertThatThrownBy(() -> convert(target, wish(Selection.ALL, false, 1L << 40), thief))
        .isInstanceOf(KeepstoneException.Refused.class);
    assertThat(target).hasContent("mine");
  }

  @Test
  void aFailureOrAnInterruptionInTheMiddleLeavesNothing() throws IOException {
    for (boolean asFolder : new boolean[] {true, false}) {
      assertThatThrownBy(() ->
              convert(
                  folder.resolve("out"),
                  wish(Selection.ALL, asFolder, 1L << 40),
                  (done, total) -> {
                    throw new KeepstoneException.Refused("enough", "test", "nothing");
                  }))
          .hasMessageContaining("enough");
      assertThat(namesIn(folder)).containsExactly("source");
      assertThatThrownBy(() ->
              convert(
                  folder.resolve("out"),
                  wish(Selection.ALL, asFolder, 1L << 40),
                  (done, total) -> Thread.currentThread().interrupt()))
          .hasMessageContaining("interrupted");
      assertThat(Thread.interrupted()).isFalse();
      assertThat(namesIn(folder)).containsExactly("source");
    }
  }

  @Test
  void aSourceThatShrinksIsToldByFileAndTensor() throws IOException {
    byte[] whole = Files.readAllBytes(source);
    try (SafetensorsView view = SafetensorsView.open(DISK, source).orElseThrow()) {
      ConvertPlan plan =
          ConvertPlan.toSafetensors(view.tensors(), wish(Selection.ALL, false, 1L << 40));
      Files.write(source, Arrays.copyOf(whole, whole.length - 1));
      assertThatThrownBy(
              () -> Conversion.run(DISK, view, plan, folder.resolve("out"), Progress.NONE))
          .isInstanceOf(KeepstoneException.Integrity.class)
          .hasMessageContaining("become shorter")
          .hasMessageContaining("tensor \"scalar\"");
    }
    assertThat(namesIn(folder)).containsExactly("source");
  }
}
