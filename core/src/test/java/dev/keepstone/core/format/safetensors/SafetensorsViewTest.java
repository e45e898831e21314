package dev.keepstone.core.format.safetensors;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.core.view.StoredTensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsViewTest {
  @TempDir Path folder;

  private Path write(String name, Tensor... tensors) throws IOException {
    Path path = folder.resolve(name);
    byte[] header = SafetensorsEncoder.header(List.of(tensors), Map.of("format", "pt"), 8);
    byte[] data = new byte[(int) List.of(tensors).stream().mapToLong(Tensor::byteLength).sum()];
    new Random(name.hashCode()).nextBytes(data);
    Files.write(path, header);
    Files.write(path, data, StandardOpenOption.APPEND);
    return path;
  }

  private static Tensor tensor(String name) {
    return new Tensor(name, Dtype.F32, Shape.of(3));
  }

  private void index(String name, String weightMap) throws IOException {
    Files.writeString(
        folder.resolve(name),
        "{\n  \"metadata\": {\"total_size\": 1.5},\n  \"weight_map\": {" + weightMap + "}\n}\n");
  }

  private SafetensorsView open(Path path) throws IOException {
    return SafetensorsView.open(Disk.local(), path).orElseThrow();
  }

  private List<String> names(Path path) throws IOException {
    try (SafetensorsView view = open(path)) {
      return view.tensors().stream().map(t -> t.tensor().name()).toList();
    }
  }

  private static byte[] read(SafetensorsView view, StoredTensor tensor) throws IOException {
    byte[] bytes = new byte[(int) tensor.tensor().byteLength()];
    view.read(tensor, tensor.pieces().getFirst(), 0, MemorySegment.ofArray(bytes));
    return bytes;
  }

  @Test
  void aFileIsKnownByContentWhateverItsName() throws IOException {
    Path path = write("weights.bin", tensor("b"), tensor("a"));
    assertThat(names(path)).containsExactly("b", "a");
    Path text = folder.resolve("fake.safetensors");
    Files.writeString(text, "no tensors here");
    assertThat(SafetensorsView.open(Disk.local(), text)).isEmpty();
    Path empty = Files.createDirectory(folder.resolve("empty"));
    assertThat(SafetensorsView.open(Disk.local(), empty)).isEmpty();
    assertThatThrownBy(() -> open(folder.resolve("absent.safetensors")))
        .isInstanceOf(KeepstoneException.NotFound.class);
  }

  @Test
  void theOnlyFileOfAFolderIsTheCheckpoint() throws IOException {
    write("any", tensor("a"));
    Files.writeString(folder.resolve("config.json"), "{\"architectures\":[\"X\"]}");
    Files.createDirectory(folder.resolve("sub"));
    try (SafetensorsView view = open(folder)) {
      assertThat(view.tensors()).hasSize(1);
      assertThat(view.config()).contains("{\"architectures\":[\"X\"]}".getBytes(UTF_8));
    }
  }

  @Test
  void anIndexIsFoundByContentAndStaleFilesBesideItAreLeftAlone() throws IOException {
    write("model-00001-of-00002.safetensors", tensor("a"));
    write("model-00002-of-00002.safetensors", tensor("b"), tensor("c"));
    write("model-00001-of-00003.safetensors", tensor("a"));
    index(
        "any.json",
        """
        "c": "model-00002-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
        "a": "model-00001-of-00002.safetensors\"\
        """);
    index("pytorch_model.bin.index.json", "\"a\": \"pytorch_model-00001-of-00001.bin\"");
    assertThat(names(folder)).containsExactly("a", "b", "c");
    assertThat(names(folder.resolve("any.json"))).containsExactly("a", "b", "c");
    try (SafetensorsView view = open(folder)) {
      assertThat(view.metadata()).isEqualTo(Map.of("format", "pt"));
      byte[] whole = Files.readAllBytes(folder.resolve("model-00002-of-00002.safetensors"));
      byte[] c = read(view, view.tensors().get(2));
      assertThat(c).isEqualTo(Arrays.copyOfRange(whole, whole.length - 12, whole.length));
    }
  }

  @Test
  void linksAreFollowedAsModelHubsKeepThem() throws IOException {
    Files.createDirectory(folder.resolve("blobs"));
    Files.createDirectory(folder.resolve("snapshot"));
    write("blobs/0a1b", tensor("a"));
    Files.createSymbolicLink(
        folder.resolve("snapshot/model.safetensors"), Path.of("../blobs/0a1b"));
    assertThat(names(folder.resolve("snapshot"))).containsExactly("a");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../secret.safetensors",
        "/etc/passwd",
        "sub/x.safetensors",
        "..",
        ".",
        "",
        "a\\\\b",
        "C:x",
        "\\u0000"
      })
  void anIndexNeverLeadsOutOfItsFolder(String file) throws IOException {
    write("a.safetensors", tensor("a"));
    index("model.safetensors.index.json", "\"a\": \"" + file + "\"");
    assertThatThrownBy(() -> open(folder.resolve("model.safetensors.index.json")))
        .isInstanceOf(KeepstoneException.Integrity.class)
        .hasMessageContaining("expected the name of a file");
  }

  @Test
  void whatIndexAndFilesDisagreeOnIsNamed() throws IOException {
    write("x", tensor("a"), tensor("b"));
    write("y", tensor("b"));
    Path index = folder.resolve("index.json");
    index("index.json", "\"a\": \"x\"");
    assertBroken(index, "the index does not know it", "tensor \"b\"");
    index("index.json", "\"a\": \"x\", \"b\": \"y\"");
    assertBroken(index, "the index has it in \"y\" instead", "x, tensor \"b\"");
    index("index.json", "\"a\": \"x\", \"b\": \"x\", \"c\": \"x\"");
    assertBroken(index, "which lacks it", "tensor \"c\"");
    index("index.json", "\"a\": \"x\", \"a\": \"x\"");
    assertBroken(index, "given twice", "index.json");
    index("index.json", "\"a\": 1");
    assertBroken(index, "has no file name", "index.json");
    index("index.json", "\"a\": \"x\", \"b\": \"x\"}, \"weight_map\": {");
    assertBroken(index, "\"weight_map\" is given twice", "index.json");
    Files.writeString(index, "{\"weight_map\":{\"a\":\"x\"");
    assertBroken(index, "no JSON", "index.json");
    index("index.json", "\"a\": \"x\", \"b\": \"gone\"");
    assertThatThrownBy(() -> open(index))
        .isInstanceOf(KeepstoneException.NotFound.class)
        .hasMessageContaining("gone");
  }

  private void assertBroken(Path index, String what, String on) {
    assertThatThrownBy(() -> open(index))
        .isInstanceOfSatisfying(
            KeepstoneException.Integrity.class,
            e -> {
              assertThat(e.what()).contains(what);
              assertThat(e.on()).contains(on);
            });
  }

  @Test
  void aFolderOfSeveralCheckpointsAsksForOne() throws IOException {
    write("model.safetensors", tensor("a"));
    write("optimizer.safetensors", tensor("b"));
    assertThatThrownBy(() -> open(folder))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining("2 safetensors files and no index")
        .hasMessageContaining("model.safetensors");
    index("a.json", "\"a\": \"model.safetensors\"");
    index("b.json", "\"b\": \"optimizer.safetensors\"");
    assertThatThrownBy(() -> open(folder)).hasMessageContaining("several indexes: a.json, b.json");
  }

  @Test
  void aHalfWrittenIndexDoesNotMakeOneShardTheWholeModel() throws IOException {
    write("model-00001-of-00002.safetensors", tensor("a"));
    Files.writeString(folder.resolve("model.safetensors.index.json"), "{\"weight_map\":{\"a\":");
    assertThatThrownBy(() -> open(folder)).isInstanceOf(KeepstoneException.Integrity.class);
  }

  @Test
  void anEncodedIndexIsWhatHuggingFaceReads() throws IOException {
    byte[] json = new SafetensorsIndex(Map.of("a", "x")).encode(12);
    assertThat(new String(json, UTF_8))
        .isEqualTo("{\"metadata\":{\"total_size\":12},\"weight_map\":{\"a\":\"x\"}}");
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void whatTheWriterWritesInAnyPortionsReadsBack(long seed) throws IOException {
    Random random = new Random(seed);
    List<Tensor> tensors = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      tensors.add(
          new Tensor("t" + i, Dtype.U8, Shape.of(random.nextInt(i % 2 == 0 ? 5_000_000 : 3))));
    }
    byte[] data = new byte[(int) tensors.stream().mapToLong(Tensor::byteLength).sum()];
    random.nextBytes(data);
    Path path = folder.resolve("out");
    SafetensorsWriter.Written written;
    try (OpenFile file = Disk.local().create(path);
        SafetensorsWriter writer = SafetensorsWriter.begin(file, tensors, Map.of())) {
      for (int at = 0; at < data.length; ) {
        int count = Math.min(data.length - at, 1 + random.nextInt(3_000_000));
        writer.write(MemorySegment.ofArray(data).asSlice(at, count));
        at += count;
      }
      written = writer.finish();
    }
    assertThat(Files.size(path)).isEqualTo(written.fileBytes());
    try (SafetensorsView view = open(path)) {
      int at = 0;
      for (int i = 0; i < tensors.size(); i++) {
        StoredTensor stored = view.tensors().get(i);
        assertThat(stored.tensor()).isEqualTo(tensors.get(i));
        byte[] bytes = read(view, stored);
        assertThat(bytes).isEqualTo(Arrays.copyOfRange(data, at, at + bytes.length));
        assertThat(written.granules().get(i)).isEqualTo(Granules.of(MemorySegment.ofArray(bytes)));
        at += bytes.length;
      }
    }
    byte[] header = Arrays.copyOf(Files.readAllBytes(path), written.headerBytes());
    assertThat(written.headerBytes() % 4096).isZero();
    assertThat(written.headerCrc()).isEqualTo(Crc32.of(header, 0, header.length));
  }

  @Test
  void theWriterTakesExactlyTheBytesThatWereAnnounced() throws IOException {
    try (OpenFile file = Disk.local().create(folder.resolve("out"));
        SafetensorsWriter writer = SafetensorsWriter.begin(file, List.of(tensor("a")), Map.of())) {
      writer.write(MemorySegment.ofArray(new byte[11]));
      assertThatThrownBy(writer::finish).isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> writer.write(MemorySegment.ofArray(new byte[2])))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }
}
