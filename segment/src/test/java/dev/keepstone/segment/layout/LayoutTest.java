package dev.keepstone.segment.layout;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.SpecText;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LayoutTest {
  private static final Json.Obj EMPTY = Json.object().build();
  static final LayoutOwner OWNER =
      new LayoutOwner("/data", "run", "uid", 1, 0, 1, "00112233445566ff", 1, EMPTY);

  static Layout plan(RegisteredPiece... pieces) {
    return Layout.plan(OWNER, new LayoutRequest(List.of(pieces), EMPTY, 0, EMPTY, EMPTY));
  }

  static RegisteredPiece whole(String component, String name, Dtype dtype, long... shape) {
    return new RegisteredPiece(component, Piece.whole(new Tensor(name, dtype, Shape.of(shape))));
  }

  static RegisteredPiece rows(String name, long from, long count) {
    Tensor tensor = new Tensor(name, Dtype.F32, Shape.of(8, 3));
    Slice slice = new Slice(List.of(from, 0L), Shape.of(count, 3));
    return new RegisteredPiece("model", new Piece(tensor, slice));
  }

  private static String header(Layout layout) {
    byte[] header = layout.header(0);
    return new String(header, 8, header.length - 8, UTF_8).strip();
  }

  private static Json.Obj example() {
    return example("layout");
  }

  private static Json.Obj example(String name) {
    return JsonReader.readObject(
        String.valueOf(SpecText.examples("segment.md").get(name)).getBytes(UTF_8));
  }

  @Test
  void theExamplesOfTheSpecReadBackToThemselves() {
    assertThat(LayoutCodec.toJson(LayoutCodec.read(example()))).isEqualTo(example());
    Json.Obj groups = example("layout-groups");
    assertThat(LayoutCodec.toJson(LayoutCodec.read(groups))).isEqualTo(groups);
  }

  @Test
  void whatIsFrozenLiesOnceInTheConstantAreaAsInTheExampleOfTheSpec() {
    Layout read = LayoutCodec.read(example("layout-groups"));
    LayoutRequest request =
        new LayoutRequest(
            List.of(
                new RegisteredPiece("model", read.pieces().getFirst().piece(), true),
                new RegisteredPiece("model", read.pieces().getLast().piece())),
            read.state(),
            300,
            read.configs(),
            read.provenance());
    assertThat(Layout.plan(read.owner(), request)).isEqualTo(read);
    assertThat(read.constantBytes()).isEqualTo(8192);
    assertThat(read.capturedLength()).isEqualTo(4104);
  }

  @Test
  void whatChangesWhatIsSteadyAndWhatIsFrozenGetShardsOfTheirOwnTensorByTensor() {
    RegisteredPiece frozen = whole("m", "frozen", Dtype.F32, 2);
    Layout layout =
        Layout.plan(
            OWNER,
            new LayoutRequest(
                List.of(
                    whole("m", "steady", Dtype.F32, 2),
                    new RegisteredPiece("m", frozen.piece(), true),
                    half("halves", 0),
                    half("halves", 1),
                    whole("m", "changing", Dtype.F32, 2),
                    whole("only-steady", "steady", Dtype.F32, 2)),
                EMPTY,
                0,
                EMPTY,
                EMPTY),
            piece ->
                !piece.piece().tensor().name().equals("changing")
                    && piece.piece().slice().offset().getFirst() == 0);
    assertThat(layout.shards())
        .extracting(ShardPlace::component, ShardPlace::group, ShardPlace::constant)
        .containsExactly(
            tuple("m", 0, false),
            tuple("m", 1, false),
            tuple("m", 2, true),
            tuple("model", 0, false),
            tuple("only-steady", 0, false));
    assertThat(layout.pieces()).extracting(PiecePlace::shard).containsExactly(1, 2, 3, 3, 0, 4);
  }

  private static RegisteredPiece half(String name, long at) {
    Tensor tensor = new Tensor(name, Dtype.F32, Shape.of(2));
    return new RegisteredPiece("model", new Piece(tensor, new Slice(List.of(at), Shape.of(1))));
  }

  @Test
  void theExampleOfTheSpecIsWhatPlanningItsPiecesGives() {
    Layout read = LayoutCodec.read(example());
    LayoutRequest request =
        new LayoutRequest(
            List.of(new RegisteredPiece("model", read.pieces().getFirst().piece())),
            read.state(),
            300,
            read.configs(),
            read.provenance());
    assertThat(Layout.plan(read.owner(), request)).isEqualTo(read);
  }

  @Test
  void largerElementsComeFirstThenTheOrderOfRegistration() {
    Layout layout =
        plan(
            whole("m", "half", Dtype.BF16, 2),
            whole("m", "b", Dtype.F32, 2),
            whole("m", "a", Dtype.F32, 2),
            whole("m", "complex", Dtype.C128, 1));
    assertThat(layout.fileOrder(0)).containsExactly(3, 1, 2, 0);
    assertThat(layout.pieces())
        .extracting(PiecePlace::at)
        .containsExactly(69664L, 69648L, 69656L, 69632L);
  }

  @Test
  void componentsAreShardsInTheOrderOfTheirFirstPiece() {
    Layout layout =
        plan(
            whole("model", "w", Dtype.F32, 2),
            whole("optimizer", "w", Dtype.F32, 1),
            whole("model", "v", Dtype.F32, 1));
    assertThat(layout.shards())
        .extracting(ShardPlace::component)
        .containsExactly("model", "optimizer");
    assertThat(layout.shards()).extracting(ShardPlace::offset).containsExactly(65536L, 73728L);
  }

  @Test
  void aShardOfWholeTensorsSaysWhatWeightsOnlyReadersLookFor() {
    assertThat(header(plan(whole("model", "w", Dtype.F32, 2))))
        .isEqualTo(
            "{\"__metadata__\":{\"format\":\"pt\"},"
                + "\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}");
  }

  @Test
  void furtherPiecesOfATensorCarryTheirOffsets() {
    Layout layout = plan(rows("w", 4, 1), rows("w", 0, 2));
    assertThat(layout.shards().getFirst().whole()).isFalse();
    assertThat(header(layout))
        .isEqualTo(
            "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[0,12]},"
                + "\"w@0,0\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[12,36]}}");
  }

  @Test
  void aDtypeThatSafetensorsLacksStandsAsBytesWithItsNameBeside() {
    assertThat(header(plan(whole("m", "z", Dtype.C128, 2, 3))))
        .contains("\"dtype\":\"U8\",\"shape\":[2,3,16]")
        .contains("\"keepstone.dtype\":\"{\\\"z\\\":\\\"C128\\\"}\"");
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 300, 32768, 32769, 100_000})
  void theStateAreaHoldsTwiceWhatIsNeededNow(long stateBytes) {
    Layout layout =
        Layout.plan(OWNER, new LayoutRequest(List.of(), EMPTY, stateBytes, EMPTY, EMPTY));
    assertThat(layout.stateCapacity())
        .isGreaterThanOrEqualTo(Math.max(65536, 2 * stateBytes))
        .isLessThan(Math.max(65536, 2 * stateBytes) + 4096)
        .satisfies(capacity -> assertThat(capacity % 4096).isZero());
    assertThat(layout.slotBytes()).isEqualTo(layout.stateCapacity());
  }

  private static void refused(String named, RegisteredPiece... pieces) {
    assertThatThrownBy(() -> plan(pieces))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining(named);
  }

  @Test
  void oneTensorTwiceIsRefused() {
    refused("model/w", whole("model", "w", Dtype.F32, 2), whole("model", "w", Dtype.F32, 2));
    refused("model/s", whole("model", "s", Dtype.F32), whole("model", "s", Dtype.F32));
    refused("model/e", whole("model", "e", Dtype.F32, 0), whole("model", "e", Dtype.F32, 0));
  }

  @Test
  void piecesThatShareAnElementAreRefused() {
    refused("[2, 3] at [1, 0]", rows("w", 0, 2), rows("w", 4, 4), rows("w", 1, 2));
  }

  @Test
  void oneNameWithTwoFormsIsRefused() {
    refused("F32 [2] and F32 [3]", whole("m", "w", Dtype.F32, 2), whole("m", "w", Dtype.F32, 3));
  }

  @Test
  void aTensorNamedLikeAPieceIsRefused() {
    refused("\"w@4,0\"", rows("w", 0, 1), rows("w", 4, 1), whole("model", "w@4,0", Dtype.F32, 1));
  }

  @Test
  void aTensorNamedLikeTheMetadataIsRefused() {
    refused("__metadata__", whole("m", "__metadata__", Dtype.F32, 1));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "", ".", "..", "../x", "a/b", "a..b", "-a", "_a", "state", "part", "ä", "a b", "a\n"
      })
  void aComponentThatCannotNameAFileIsRefused(String component) {
    refused("\"" + component + "\"", whole(component, "w", Dtype.F32, 1));
  }

  @Test
  void aComponentTooLongForAFileNameIsRefused() {
    refused("200", whole("a".repeat(201), "w", Dtype.F32, 1));
  }

  @Test
  void sizesBeyond63BitsAreRefused() {
    RegisteredPiece[] nine =
        IntStream.range(0, 9)
            .mapToObj(i -> whole("m" + i % 2, "t" + i, Dtype.U8, Long.MAX_VALUE / 8))
            .toArray(RegisteredPiece[]::new);
    refused("63 bits", nine);
  }

  @Test
  void stateBeyondTheLimitIsRefused() {
    LayoutRequest request = new LayoutRequest(List.of(), EMPTY, (128 << 20) + 1, EMPTY, EMPTY);
    assertThatThrownBy(() -> Layout.plan(OWNER, request))
        .isInstanceOf(KeepstoneException.Refused.class);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"offset\":65536;\"offset\":0",
        "\"offset\":65536;\"offset\":69632",
        "\"bytes\":4104;\"bytes\":4105",
        "\"bytes\":4104;\"bytes\":9223372036854775807",
        "\"header\":4096;\"header\":0",
        "\"header\":4096;\"header\":8192",
        "\"at\":69632;\"at\":69633",
        "\"at\":69632;\"at\":-1",
        "\"bytes\":8;\"bytes\":16",
        "\"shard\":0;\"shard\":1",
        "\"shard\":0;\"shard\":-1",
        "\"whole\":true;\"whole\":false",
        "\"dtype\":\"F32\";\"dtype\":\"F64\"",
        "\"extent\":[2];\"extent\":[3]",
        "\"shape\":[2];\"shape\":[4611686018427387904]",
        "\"state_capacity\":65536;\"state_capacity\":1",
        "\"v\":1;\"v\":2",
      })
  void aLayoutThatLiesIsNotRead(String edit) {
    String change = edit.substring(0, edit.indexOf(';'));
    String lie = edit.substring(edit.indexOf(';') + 1);
    String text = String.valueOf(SpecText.examples("segment.md").get("layout"));
    assertThat(text).contains(change);
    byte[] lying = text.replace(change, lie).getBytes(UTF_8);
    assertThatThrownBy(() -> LayoutCodec.read(JsonReader.readObject(lying)))
        .isInstanceOf(JsonException.class);
  }
}
