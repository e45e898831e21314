package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.object.Start.Wanted;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The verbs over checkpoints of three ranks: of one tensor that is spread over them, and of one
/// whole tensor of each.
final class SeveralRanksTest {
  private static final int WORLD = 3;

  @TempDir Path folder;
  private String store = "";

  @BeforeEach
  void save() throws IOException {
    store = folder.resolve("ckpts").toString();
    Path source = Tensors.write(folder.resolve("model.safetensors"));
    assertThat(Ran.keepstone("import", source.toString(), store + "/gpt", "--step", "40").code())
        .isZero();
    Saves saves = new Saves(Path.of(store), "gpt");
    int start = saves.start(Wanted.LATEST, WORLD);
    saves.saveRanks(start, 50, spread(1));
    saves.saveRanks(start, 60, spread(2));
    saves.saveRanks(start, 70, whole(3));
  }

  private static List<Map<Piece, byte[]>> spread(int seed) {
    Random random = new Random(seed);
    Tensor tensor = new Tensor("w", Dtype.F32, Shape.of(7, 4));
    List<Map<Piece, byte[]>> ranks = new ArrayList<>();
    for (int rank = 0; rank < WORLD; rank++) {
      // Rows 0 to 3, 3 to 6, 6 to 7.
      int rows = Math.min(3, 7 - 3 * rank);
      Piece piece = new Piece(tensor, new Slice(List.of(3L * rank, 0L), Shape.of(rows, 4)));
      ranks.add(Map.of(piece, bytes(random, rows * 16)));
    }
    return ranks;
  }

  private static List<Map<Piece, byte[]>> whole(int seed) {
    Random random = new Random(seed);
    List<Map<Piece, byte[]>> ranks = new ArrayList<>();
    for (int rank = 0; rank < WORLD; rank++) {
      Tensor tensor = new Tensor("layer." + rank, Dtype.F32, Shape.of(4));
      ranks.add(Map.of(Piece.whole(tensor), bytes(random, 16)));
    }
    return ranks;
  }

  private static byte[] bytes(Random random, int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }

  private Ran ran(String... words) {
    Ran ran = Ran.keepstone(words);
    assertThat(ran.err()).isEmpty();
    assertThat(ran.code()).as(ran.out()).isZero();
    return ran;
  }

  @Test
  void showSaysHowManyRanksAndWhetherTheFolderLoadsAsItLies() {
    assertThat(ran("show", store + "/gpt@2-60").out())
        .contains("3 ranks")
        .contains("tensors of model lie in pieces");
    assertThat(ran("show", store + "/gpt@2-70").out())
        .contains("3 ranks")
        .contains("as it lies, by weights-only readers")
        .contains("model-00002.");
  }

  @Test
  void verifyReadsTheShardsOfAllRanksAndNamesADamagedIndex() throws IOException {
    ran("verify", store + "/gpt@2-60", "--deep");
    ran("verify", store + "/gpt@2-70", "--deep");
    Path index = Path.of(store, "gpt/checkpoints/2-70/model.safetensors.index.json");
    byte[] bytes = Files.readAllBytes(index);
    bytes[bytes.length / 2] ^= 1;
    Files.write(index, bytes);
    Ran ran = Ran.keepstone("verify", store + "/gpt@2-70", "--deep");
    assertThat(ran.code()).isNotZero();
    assertThat(ran.out() + ran.err()).contains("model.safetensors.index.json");
  }

  @Test
  void inspectAndDiffSeeEachTensorOnce() {
    List<Json> tensors = ran("inspect", store + "/gpt@2-60", "--json").json().array("tensors");
    assertThat(tensors).hasSize(1);
    Ran diff = Ran.keepstone("diff", store + "/gpt@2-50", store + "/gpt@2-60");
    assertThat(diff.out()).contains("1 changed");
    Ran same = Ran.keepstone("diff", store + "/gpt@2-60", store + "/gpt@2-60");
    assertThat(same.code()).isZero();
  }

  @Test
  void aCopyIsWholeAndAPlanCountsAllRanks() {
    String other = folder.resolve("other").toString();
    ran("copy", store + "/gpt@2-70", other + "/gpt");
    ran("verify", other + "/gpt", "--deep");
    assertThat(ran("show", other + "/gpt@2-70").out()).contains("as it lies");
    assertThat(ran("prune", store + "/gpt", "--keep-last", "1", "--dry-run").out())
        .contains("2-50")
        .contains("2-60");
    assertThat(ran("ls", store + "/gpt").out()).contains("2-70");
  }
}
