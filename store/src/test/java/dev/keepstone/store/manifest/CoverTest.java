package dev.keepstone.store.manifest;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.part.FileReceipt;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.testkit.Seeds;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class CoverTest {
  private static final String NONCE = "7c1e02aa";

  static LongStream seeds() {
    return Seeds.count(200);
  }

  /// A part per piece, one rank each.
  private static List<Part> parts(List<Piece> pieces) {
    List<Part> parts = new ArrayList<>();
    for (int rank = 0; rank < pieces.size(); rank++) {
      Piece piece = pieces.get(rank);
      String crcs = Granules.hex(new int[(int) Granules.count(piece.byteLength())]);
      ShardReceipt shard =
          new ShardReceipt(
              Names.shard("model", rank, NONCE),
              "model",
              16 + piece.byteLength(),
              16,
              0,
              0,
              piece.isWhole(),
              List.of(new PieceReceipt(piece, 16, crcs, null)));
      parts.add(
          new Part(
              "0".repeat(32),
              new CheckpointId(1, 1),
              rank,
              pieces.size(),
              NONCE,
              Json.object().build(),
              List.of(shard),
              new FileReceipt(Names.state(rank, NONCE), 1, 0),
              List.of(),
              Json.object().build(),
              Instant.EPOCH,
              0));
    }
    return parts;
  }

  /// Cuts a box in two at random places, again and again.
  private static List<Slice> cut(Slice whole, int pieces, Random random) {
    List<Slice> slices = new ArrayList<>(List.of(whole));
    for (int tries = 0; slices.size() < pieces && tries < 100; tries++) {
      Slice slice = slices.remove(random.nextInt(slices.size()));
      int d = random.nextInt(slice.offset().size());
      long extent = slice.extent().extent(d);
      if (extent < 2) {
        slices.add(slice);
        continue;
      }
      long at = 1 + random.nextLong(extent - 1);
      slices.add(part(slice, d, 0, at));
      slices.add(part(slice, d, at, extent - at));
    }
    return slices;
  }

  private static Slice part(Slice slice, int d, long from, long length) {
    List<Long> offset = new ArrayList<>(slice.offset());
    List<Long> extent = new ArrayList<>(slice.extent().extents());
    offset.set(d, offset.get(d) + from);
    extent.set(d, length);
    return new Slice(offset, new Shape(extent));
  }

  private static List<Piece> pieces(Random random) {
    List<Long> extents = new ArrayList<>();
    int rank = 1 + random.nextInt(4);
    for (int d = 0; d < rank; d++) {
      extents.add(1 + random.nextLong(9));
    }
    Tensor tensor = new Tensor("weight", Dtype.F32, new Shape(extents));
    List<Piece> pieces = new ArrayList<>();
    for (Slice slice : cut(Slice.whole(tensor.shape()), 1 + random.nextInt(12), random)) {
      pieces.add(new Piece(tensor, slice));
    }
    Collections.shuffle(pieces, random);
    return pieces;
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void aBoxCutIntoBoxesIsCovered(long seed) {
    assertThatCode(() -> Cover.prove(parts(pieces(Seeds.random(seed))))).doesNotThrowAnyException();
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void onePieceMissingIsAHoleAndOneTwiceIsAnOverlap(long seed) {
    Random random = Seeds.random(seed);
    List<Piece> pieces = pieces(random);
    Piece chosen = pieces.get(random.nextInt(pieces.size()));
    List<Piece> twice = new ArrayList<>(pieces);
    twice.add(chosen);
    assertThatExceptionOfType(KeepstoneException.Integrity.class)
        .isThrownBy(() -> Cover.prove(parts(twice)))
        .withMessageContaining("\"weight\"")
        .withMessageContaining("overlaps");
    if (pieces.size() > 1) {
      pieces.remove(chosen);
      assertThatExceptionOfType(KeepstoneException.Integrity.class)
          .isThrownBy(() -> Cover.prove(parts(pieces)))
          .withMessageContaining("\"weight\"")
          .withMessageContaining("hole");
    }
  }

  @Test
  void boxesThatNoCutSeparatesAreProvedByTheirVolume() {
    Tensor tensor = new Tensor("weight", Dtype.U8, Shape.of(3, 3));
    List<Piece> pinwheel = new ArrayList<>();
    pinwheel.add(new Piece(tensor, new Slice(List.of(0L, 0L), Shape.of(1, 2))));
    pinwheel.add(new Piece(tensor, new Slice(List.of(0L, 2L), Shape.of(2, 1))));
    pinwheel.add(new Piece(tensor, new Slice(List.of(2L, 1L), Shape.of(1, 2))));
    pinwheel.add(new Piece(tensor, new Slice(List.of(1L, 0L), Shape.of(2, 1))));
    assertThatExceptionOfType(KeepstoneException.Integrity.class)
        .isThrownBy(() -> Cover.prove(parts(pinwheel)))
        .withMessageContaining("8 of 9 elements");
    pinwheel.add(new Piece(tensor, new Slice(List.of(1L, 1L), Shape.of(1, 1))));
    assertThatCode(() -> Cover.prove(parts(pinwheel))).doesNotThrowAnyException();
  }

  @Test
  void ranksThatTellATensorDifferentlyAreNamed() {
    Piece one = Piece.whole(new Tensor("weight", Dtype.F32, Shape.of(2)));
    Piece other = Piece.whole(new Tensor("weight", Dtype.BF16, Shape.of(2)));
    assertThatExceptionOfType(KeepstoneException.Integrity.class)
        .isThrownBy(() -> Cover.prove(parts(List.of(one, other))))
        .withMessageContaining("is F32[2] in model-00000")
        .withMessageContaining("BF16[2] in model-00001");
  }

  @Test
  void scalarsAndEmptyTensorsAreCovered() {
    Piece scalar = Piece.whole(new Tensor("step", Dtype.I64, Shape.SCALAR));
    Piece empty = Piece.whole(new Tensor("nothing", Dtype.F32, Shape.of(0, 4)));
    assertThatCode(() -> Cover.prove(parts(List.of(scalar, empty, empty))))
        .doesNotThrowAnyException();
    assertThatExceptionOfType(KeepstoneException.Integrity.class)
        .isThrownBy(() -> Cover.prove(parts(List.of(scalar, scalar))))
        .withMessageContaining("overlaps");
  }
}
