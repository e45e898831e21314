package dev.keepstone.core.format.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.core.view.StoredPiece;
import dev.keepstone.core.view.StoredTensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Every file under fixtures/torch is refused for the reason in its name, or read as torch reads
/// it.
class TorchFixturesTest {
  private static final Path FIXTURES =
      Path.of(Objects.requireNonNull(System.getProperty("keepstone.root")), "fixtures", "torch");

  static Stream<String[]> expected() throws IOException {
    return Files.readAllLines(FIXTURES.resolve("EXPECTED.tsv")).stream().map(l -> l.split("\t"));
  }

  static Stream<Path> accepted() throws IOException {
    return Files.list(FIXTURES.resolve("accepted"))
        .filter(file -> file.toString().endsWith(".pt"))
        .sorted();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("expected")
  void aBrokenOrHostileFileIsRefusedNamingWhy(String name, String words) {
    Path path = FIXTURES.resolve("refused").resolve(name + ".pt");
    assertThatThrownBy(() -> TorchView.open(Disk.local(), path, false))
        .isInstanceOf(KeepstoneException.class)
        .isNotInstanceOf(KeepstoneException.Failed.class)
        .hasMessageContaining(words)
        .hasMessageContaining(path.toString());
  }

  @Test
  void everyBrokenFileHasItsExpectation() throws IOException {
    try (Stream<Path> files = Files.list(FIXTURES.resolve("refused"))) {
      assertThat(files.map(p -> p.getFileName().toString()).toList())
          .containsExactlyInAnyOrderElementsOf(expected().map(row -> row[0] + ".pt").toList());
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("accepted")
  void everyByteIsTheOneThatTorchReads(Path path) throws IOException {
    Json.Obj expected = expectation(path);
    try (TorchView view = TorchView.open(Disk.local(), path, false).orElseThrow()) {
      TreeMap<String, String> found = new TreeMap<>();
      for (StoredTensor stored : view.tensors()) {
        found.put(
            stored.component() + ":" + stored.tensor().name(),
            stored.tensor().dtype() + stored.tensor().shape().toString() + hex(view, stored, 1));
        assertThat(hex(view, stored, 7)).isEqualTo(hex(view, stored, 1));
      }
      TreeMap<String, String> wanted = new TreeMap<>();
      for (Json json : expected.array("tensors")) {
        Json.Obj tensor = (Json.Obj) json;
        String extents =
            tensor.array("shape").stream().map(e -> ((Json.Int) e).value()).toList().toString();
        wanted.put(
            tensor.text("component") + ":" + tensor.text("name"),
            tensor.text("dtype") + extents + tensor.text("bytes"));
      }
      assertThat(found).isEqualTo(wanted);
      if (expected.has("state")) {
        assertThat(view.state().orElseThrow().get("state")).isEqualTo(expected.get("state"));
      }
      assertThat(view.damages().orElse(List.of())).isEmpty();
    }
  }

  private static Json.Obj expectation(Path path) throws IOException {
    String json = path.toString().replaceAll("[.]pt$", ".json");
    return JsonReader.readObject(Files.readAllBytes(Path.of(json)));
  }

  /// All bytes, read in so many requests, none of which ends with an element.
  private static String hex(TorchView view, StoredTensor stored, int requests) throws IOException {
    StoredPiece piece = stored.pieces().getFirst();
    int size = (int) piece.bytes();
    MemorySegment bytes = Arena.ofAuto().allocate(Math.max(1, size));
    int step = Math.max(1, Math.ceilDiv(size, requests));
    for (int at = 0; at < size; at += step) {
      view.read(stored, piece, at, bytes.asSlice(at, Math.min(step, size - at)));
    }
    return HexFormat.of().formatHex(bytes.asSlice(0, size).toArray(ValueLayout.JAVA_BYTE));
  }

  @Test
  void aTrainingStateKeepsWhatIsNoTensor() throws IOException {
    Path path = FIXTURES.resolve("accepted/training.pt");
    try (TorchView view = TorchView.open(Disk.local(), path, false).orElseThrow()) {
      Json.Obj state = view.state().orElseThrow().object("state");
      assertThat(state.integer("step")).isEqualTo(12);
      assertThat(state.get("loss")).isEqualTo(word("float").put("v", "nan").build());
      assertThat(text(state.get("best")))
          .isEqualTo("{\"~\":\"scalar\",\"dtype\":\"<f4\",\"v\":\"AAAAPw==\"}");
      assertThat(text(state.get("types")))
          .isEqualTo(
              "[{\"~\":\"dtype\",\"of\":\"torch\",\"v\":\"bfloat16\"},{\"~\":\"device\",\"v\":\"cuda:1\"},"
                  + "{\"~\":\"dtype\",\"of\":\"numpy\",\"v\":\">i4\"},"
                  + "{\"~\":\"opaque\",\"type\":\"users.own.Colour\",\"v\":{\"args\":{\"~\":\"tuple\",\"v\":[1]}}},"
                  + "{\"~\":\"opaque\",\"type\":\"users.own.Point\",\"v\":{\"args\":{\"~\":\"tuple\",\"v\":[1,2]}}},"
                  + "{\"~\":\"opaque\",\"type\":\"builtins.range\",\"v\":{\"args\":{\"~\":\"tuple\",\"v\":[0,3,1]}}}]");
      assertThat(text(state.get("args")))
          .isEqualTo(
              "{\"~\":\"opaque\",\"type\":\"argparse.Namespace\",\"v\":{\"state\":{\"lr\":0.1,"
                  + "\"out\":{\"~\":\"path\",\"v\":\"/runs/a\"},\"sizes\":{\"~\":\"size\",\"v\":[2,3]}}}}");
      assertThat(text(state.get("counts")))
          .isEqualTo("{\"~\":\"counter\",\"v\":[[\"a\",2],[\"b\",1]]}");
      assertThat(text(state.get("lists")))
          .isEqualTo("{\"~\":\"ddict\",\"factory\":\"builtins.list\",\"v\":[[\"a\",[1]]]}");
      assertThat(text(state.get("kinds")))
          .isEqualTo(
              "[null,true,{\"~\":\"int\",\"v\":\"1180591620717411303424\"},-1,1.5,\"x\","
                  + "{\"~\":\"bytes\",\"v\":\"AP8=\"},{\"~\":\"bytearray\",\"v\":\"YWI=\"},"
                  + "{\"~\":\"complex\",\"v\":[3.0,4.0]},{\"~\":\"set\",\"v\":[1,2]},"
                  + "{\"~\":\"frozenset\",\"v\":[3]},{\"~\":\"tuple\",\"v\":[]}]");
      assertThat(text(state.object("optimizer").get("param_groups"))).contains("\"lr\":0.001");
      assertThat(view.metadata()).containsEntry("step", "12");
    }
  }

  private static String text(@Nullable Json json) {
    return JsonWriter.compact(Objects.requireNonNull(json));
  }

  private static Json.Builder word(String word) {
    return Json.object().put("~", word);
  }

  @Test
  void classesOfUsersAreRefusedWhereOneWantsDataAlone() {
    Path path = FIXTURES.resolve("accepted/training.pt");
    assertThatThrownBy(() -> TorchView.open(Disk.local(), path, true))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining("argparse.Namespace");
  }
}
