package dev.keepstone.cli;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.reference.CheckpointId;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// A checkpoint that three ranks saved, in rows, columns and blocks, without any of them.
class RestoreRanksTest {
  private static final int RANKS = 3;

  /// Larger than a chunk, and of rows that end within granules.
  private static final Tensor ROWS = new Tensor("rows", Dtype.F32, Shape.of(70, 40_961));

  private static final Tensor COLUMNS = new Tensor("columns", Dtype.BF16, Shape.of(601, 2053));
  private static final Tensor DEEP = new Tensor("deep", Dtype.F8_E4M3, Shape.of(5, 7, 11));
  private static final Tensor BIAS = new Tensor("bias", Dtype.I64, Shape.of(2));
  private static final Tensor SCALAR = new Tensor("step", Dtype.I64, Shape.SCALAR);
  private static final Tensor EMPTY = new Tensor("empty", Dtype.F32, Shape.of(0, 4));
  private static final List<Tensor> TENSORS = List.of(ROWS, COLUMNS, DEEP, BIAS, SCALAR, EMPTY);

  @TempDir Path folder;
  private String reference = "";
  private Path out = Path.of("");
  private CheckpointId id = new CheckpointId(1, 1);

  private static byte[] whole(Tensor tensor) {
    byte[] bytes = new byte[(int) tensor.byteLength()];
    new Random(tensor.name().hashCode()).nextBytes(bytes);
    return bytes;
  }

  /// Some indices of a dimension, of all others all.
  private static Piece piece(Tensor tensor, int dimension, long from, long to) {
    Slice whole = Slice.whole(tensor.shape());
    List<Long> offset = new ArrayList<>(whole.offset());
    List<Long> extent = new ArrayList<>(tensor.shape().extents());
    offset.set(dimension, from);
    extent.set(dimension, to - from);
    return new Piece(tensor, new Slice(offset, new Shape(extent)));
  }

  private static byte[] bytes(Piece piece) {
    Tensor tensor = piece.tensor();
    byte[] whole = whole(tensor);
    int element = tensor.dtype().bits() / 8;
    if (tensor == ROWS) {
      int row = whole.length / 70;
      int from = (int) (long) piece.slice().offset().getFirst() * row;
      return Arrays.copyOfRange(whole, from, from + (int) piece.byteLength());
    }
    ByteBuffer found = ByteBuffer.allocate((int) piece.byteLength());
    long[] index = new long[tensor.shape().rank()];
    for (long i = 0; i < tensor.shape().elementCount(); i++) {
      long rest = i;
      boolean inside = true;
      for (int d = index.length - 1; d >= 0; d--) {
        index[d] = rest % tensor.shape().extent(d) - piece.slice().offset().get(d);
        rest /= tensor.shape().extent(d);
        inside &= index[d] >= 0 && index[d] < piece.slice().extent().extent(d);
      }
      if (inside) {
        found.put(whole, (int) i * element, element);
      }
    }
    return found.array();
  }

  @BeforeEach
  void save() throws IOException {
    Path store = folder.resolve("ckpts");
    out = folder.resolve("out");
    Path small = Tensors.write(folder.resolve("small.safetensors"));
    Ran.keepstone("import", small.toString(), store + "/gpt");
    Saves saves = new Saves(store, "gpt");
    List<Map<Piece, byte[]>> ranks = new ArrayList<>();
    for (int rank = 0; rank < RANKS; rank++) {
      List<Piece> pieces = new ArrayList<>();
      if (rank == 1) {
        pieces.add(Piece.whole(BIAS));
        pieces.add(Piece.whole(SCALAR));
      }
      pieces.add(piece(ROWS, 0, 70 * rank / RANKS, 70 * (rank + 1) / RANKS));
      if (rank == 2) {
        pieces.add(Piece.whole(EMPTY));
      }
      pieces.add(piece(COLUMNS, 1, 2053 * rank / RANKS, 2053 * (rank + 1) / RANKS));
      pieces.add(piece(DEEP, 1, 7 * rank / RANKS, 7 * (rank + 1) / RANKS));
      Map<Piece, byte[]> mine = new LinkedHashMap<>();
      pieces.forEach(piece -> mine.put(piece, bytes(piece)));
      ranks.add(mine);
    }
    id = saves.saveRanks(saves.start(Wanted.LATEST, RANKS), 7, ranks);
    reference = store + "/gpt@" + id;
  }

  /// The tensors of a safetensors file, by name.
  private static Map<String, byte[]> read(Path file) throws IOException {
    byte[] all = Files.readAllBytes(file);
    int header = (int) ByteBuffer.wrap(all).order(ByteOrder.LITTLE_ENDIAN).getLong();
    Json.Obj json =
        JsonReader.readObject(
            new String(all, 8, header, StandardCharsets.UTF_8)
                .strip()
                .getBytes(StandardCharsets.UTF_8));
    Map<String, byte[]> tensors = new LinkedHashMap<>();
    json.fields()
        .forEach((name, value) -> {
          if (value instanceof Json.Obj entry && entry.has("data_offsets")) {
            List<Json> offsets = entry.array("data_offsets");
            int from = 8 + header + (int) ((Json.Int) offsets.get(0)).value();
            int to = 8 + header + (int) ((Json.Int) offsets.get(1)).value();
            tensors.put(name, Arrays.copyOfRange(all, from, to));
          }
        });
    return tensors;
  }

  @Test
  void tensorsOfManyPiecesAreJoined() throws IOException {
    Ran ran = Ran.keepstone("restore", reference, out.toString(), "--json");
    assertThat(ran.code()).as(ran.err()).isZero();
    Examples.assertKept("restore", ran.json());
    assertThat(ran.json().integer("world")).isEqualTo(RANKS);
    Map<String, byte[]> found = read(out.resolve("model.safetensors"));
    assertThat(found).hasSameSizeAs(TENSORS);
    for (Tensor tensor : TENSORS) {
      assertThat(found.get(tensor.name())).as(tensor.name()).isEqualTo(whole(tensor));
    }
    Json.Obj state = JsonReader.readObject(Files.readAllBytes(out.resolve("state.json")));
    assertThat(state.object("state").integer("rank")).isZero();
  }

  @Test
  void anExportIsWholeAndEqualToTheCheckpoint() throws IOException {
    Path file = folder.resolve("model.safetensors");
    assertThat(Ran.keepstone("export", reference, file.toString()).code()).isZero();
    assertThat(read(file).get("columns")).isEqualTo(whole(COLUMNS));
    Ran diff = Ran.keepstone("diff", reference, file.toString(), "--json");
    assertThat(diff.json().bool("equal")).as(diff.out()).isTrue();
    Ran inspected = Ran.keepstone("inspect", reference, "--json");
    assertThat(inspected.json().array("tensors")).hasSameSizeAs(TENSORS);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 7})
  void eachOfNRanksHasItsRowsOfEveryTensor(int ranks) throws IOException {
    Ran ran =
        Ran.keepstone(
            "restore", reference, out.toString(), "--ranks", Integer.toString(ranks), "--json");
    assertThat(ran.code()).as(ran.err()).isZero();
    Examples.assertKept("restore", ran.json());
    assertThat(ran.json().integer("ranks")).isEqualTo(ranks);
    assertThat(names(out)).hasSize(ranks);
    for (Tensor tensor : TENSORS) {
      long rows = 0;
      byte[] joined = new byte[0];
      for (int rank = 0; rank < ranks; rank++) {
        Path mine = out.resolve("rank-%05d".formatted(rank));
        byte[] share = requireNonNull(read(mine.resolve("model.safetensors")).get(tensor.name()));
        Json.Obj told = told(mine, tensor.name());
        if (tensor == SCALAR) {
          assertThat(share).isEqualTo(whole(SCALAR));
          joined = whole(SCALAR);
          continue;
        }
        assertThat(((Json.Int) told.array("offset").getFirst()).value()).isEqualTo(rows);
        rows += ((Json.Int) told.array("extent").getFirst()).value();
        int before = joined.length;
        joined = Arrays.copyOf(joined, before + share.length);
        System.arraycopy(share, 0, joined, before, share.length);
      }
      assertThat(joined).as(tensor.name()).isEqualTo(whole(tensor));
    }
    Path last = out.resolve("rank-%05d".formatted(ranks - 1));
    Json.Obj state = JsonReader.readObject(Files.readAllBytes(last.resolve("state.json")));
    assertThat(state.object("state").integer("rank")).isEqualTo(ranks == RANKS ? 2 : 0);
  }

  private static Json.Obj told(Path rank, String name) throws IOException {
    return JsonReader.readObject(Files.readAllBytes(rank.resolve("shares.json")))
        .array("tensors")
        .stream()
        .map(Json.Obj.class::cast)
        .filter(tensor -> tensor.text("name").equals(name))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void aDamagedPieceLeavesNothing() throws IOException {
    Path shard;
    try (Stream<Path> files = Files.list(folder.resolve("ckpts/gpt/checkpoints/" + id))) {
      shard =
          files.filter(file -> file.toString().contains("model-00002")).findFirst().orElseThrow();
    }
    try (RandomAccessFile file = new RandomAccessFile(shard.toFile(), "rw")) {
      file.seek(5_000_000);
      int before = file.read();
      file.seek(5_000_000);
      file.write(before ^ 1);
    }
    Ran ran = Ran.keepstone("restore", reference, out.toString(), "--ranks", "2");
    assertThat(ran.code()).isEqualTo(ExitCode.INTEGRITY.number);
    assertThat(ran.err()).contains("model-00002");
    assertThat(names(folder)).containsExactlyInAnyOrder("ckpts", "small.safetensors");
  }

  @Test
  void noRanksAreRefused() {
    Ran ran = Ran.keepstone("restore", reference, out.toString(), "--ranks", "0");
    assertThat(ran.code()).isEqualTo(ExitCode.REFUSED.number);
    assertThat(ran.err()).contains("expected 1 to 100000 ranks, found 0");
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> String.valueOf(file.getFileName())).toList();
    }
  }
}
