package dev.keepstone.core.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class TensorTest {
  private static final BigInteger MAX = BigInteger.valueOf(Long.MAX_VALUE);

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  void sizesAreExactOrRefusedForOverflow(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (int round = 0; round < 2000; round++) {
      List<Long> extents = randomExtents(random);
      Dtype dtype = Dtype.values()[random.nextInt(Dtype.values().length)];
      BigInteger elements = BigInteger.ONE;
      boolean overflows = false;
      for (long extent : extents) {
        elements = elements.multiply(BigInteger.valueOf(extent));
        overflows |= elements.compareTo(MAX) > 0;
      }
      if (overflows) {
        assertThatThrownBy(() -> new Shape(extents)).hasMessageContaining("overflow 63 bits");
        continue;
      }
      Shape shape = new Shape(extents);
      assertThat(shape.elementCount()).isEqualTo(elements.longValueExact());
      BigInteger bits = elements.multiply(BigInteger.valueOf(dtype.bits()));
      if (bits.compareTo(MAX) > 0 || bits.intValue() % 8 != 0) {
        assertThatThrownBy(() -> new Tensor("t", dtype, shape))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining(dtype.name());
      } else {
        assertThat(new Tensor("t", dtype, shape).byteLength())
            .isEqualTo(bits.shiftRight(3).longValueExact());
      }
    }
  }

  /// Ranks to the limit; extents small, empty, or near the end of 63 bits.
  private static List<Long> randomExtents(SplittableRandom random) {
    int rank = random.nextInt(5) == 0 ? random.nextInt(Shape.MAX_RANK + 1) : random.nextInt(5);
    List<Long> extents = new ArrayList<>();
    for (int d = 0; d < rank; d++) {
      extents.add(
          switch (random.nextInt(rank > 5 ? 2 : 8)) {
            case 0 -> 1L;
            case 1 -> random.nextLong(3);
            case 2 -> Long.MAX_VALUE;
            case 3 -> 1L << random.nextInt(62);
            default -> random.nextLong(1, 100);
          });
    }
    return extents;
  }

  @Test
  void aScalarHasOneElementAndAZeroExtentNone() {
    assertThat(Shape.SCALAR.elementCount()).isEqualTo(1);
    assertThat(new Tensor("s", Dtype.C128, Shape.SCALAR).byteLength()).isEqualTo(16);
    assertThat(Shape.of(0, Long.MAX_VALUE, 7).elementCount()).isZero();
    assertThat(new Tensor("", Dtype.F4, Shape.of(3, 0)).byteLength()).isZero();
    // As the reference reader: it multiplies from the left and stops at the first overflow.
    assertThatThrownBy(() -> Shape.of(Long.MAX_VALUE, 7, 0)).hasMessageContaining("overflow");
  }

  @Test
  void ranksEndAt64() {
    Long[] ones = new Long[Shape.MAX_RANK];
    Arrays.fill(ones, 1L);
    assertThat(new Shape(List.of(ones)).rank()).isEqualTo(64);
    assertThatThrownBy(() -> new Shape(Collections.nCopies(65, 1L)))
        .hasMessageContaining("at most 64 dimensions, found 65");
    assertThatThrownBy(() -> Shape.of(2, -1)).hasMessageContaining("found -1 in [2, -1]");
  }

  @ParameterizedTest
  @EnumSource(Dtype.class)
  void everyTypeIsFoundByItsNameAloneAndStoredUnderOneSafetensorsHas(Dtype dtype) {
    assertThat(Dtype.named(dtype.name())).contains(dtype);
    assertThat(Dtype.named(dtype.name().toLowerCase(Locale.ROOT))).isEmpty();
    assertThat(dtype.stored().inSafetensors()).isTrue();
    assertThat(dtype.bits() % dtype.stored().bits()).isZero();
  }

  static Stream<long[]> boxes() {
    // offset, extent, shape; inside or not
    return Stream.of(
        new long[] {0, 0, 0, 1},
        new long[] {0, 4, 4, 1},
        new long[] {4, 0, 4, 1},
        new long[] {5, 0, 4, 0},
        new long[] {1, 4, 4, 0},
        new long[] {Long.MAX_VALUE, 0, 4, 0},
        new long[] {1, Long.MAX_VALUE - 1, Long.MAX_VALUE, 1});
  }

  @ParameterizedTest
  @MethodSource("boxes")
  void aPieceLiesInsideItsTensor(long[] box) {
    Slice slice = new Slice(List.of(box[0]), Shape.of(box[1]));
    assertThat(slice.inside(Shape.of(box[2]))).isEqualTo(box[3] == 1);
    assertThat(slice.inside(Shape.of(box[2], 1))).isFalse();
    if (box[3] == 0) {
      Tensor tensor = new Tensor("t", Dtype.U8, Shape.of(box[2]));
      assertThatThrownBy(() -> new Piece(tensor, slice)).hasMessageContaining("lies outside t");
    }
  }

  @Test
  void aSliceThatOverflowsOrDiffersInRankIsNone() {
    assertThatThrownBy(() -> new Slice(List.of(1L), Shape.of(Long.MAX_VALUE)))
        .hasMessageContaining("overflows");
    assertThatThrownBy(() -> new Slice(List.of(-1L), Shape.of(1))).hasMessageContaining("overflow");
    assertThatThrownBy(() -> new Slice(List.of(), Shape.of(1))).hasMessageContaining("rank");
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void thePiecesOfACutAddUpToTheTensor(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Tensor tensor =
        new Tensor("t", Dtype.BF16, Shape.of(random.nextLong(1, 40), random.nextLong(5)));
    long bytes = 0;
    for (long row = 0; row < tensor.shape().extent(0); ) {
      long rows = Math.min(random.nextLong(6), tensor.shape().extent(0) - row);
      Shape extent = Shape.of(rows, tensor.shape().extent(1));
      Piece piece = new Piece(tensor, new Slice(List.of(row, 0L), extent));
      assertThat(piece.isWhole()).isEqualTo(extent.equals(tensor.shape()));
      bytes += piece.byteLength();
      row += rows;
    }
    assertThat(bytes).isEqualTo(tensor.byteLength());
    assertThat(Piece.whole(tensor).isWhole()).isTrue();
    assertThat(Piece.whole(tensor).byteLength()).isEqualTo(tensor.byteLength());
  }
}
