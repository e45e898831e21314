package dev.keepstone.core.reshard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ReshardTest {
  private static final Dtype[] DTYPES = {
    Dtype.BOOL, Dtype.F8_E4M3, Dtype.F8_E5M2, Dtype.BF16, Dtype.F32, Dtype.I64, Dtype.C128
  };

  static LongStream seeds() {
    return LongStream.range(0, 400);
  }

  /// Saves a tensor in any layout of 1 to 8 ranks and wants it in any other, through needs and
  /// overlaps, range by range of the pieces as a stream brings them.
  @ParameterizedTest
  @MethodSource("seeds")
  void anyLayoutComesBackInAnyOther(long seed) {
    Random random = new Random(seed);
    Shape shape = Layouts.shape(random, 13);
    Dtype dtype = DTYPES[random.nextInt(DTYPES.length)];
    Tensor tensor = new Tensor("w", dtype, shape);
    byte[] bytes = Layouts.random(random, (int) tensor.byteLength());
    List<Slice> saved = Layouts.any(random, shape, 1 + random.nextInt(8));
    Reshard reshard = new Reshard(List.of(tensor), saved(saved));
    for (Slice wanted : Layouts.any(random, shape, 1 + random.nextInt(8))) {
      byte[] target = new byte[(int) wanted.extent().byteLength(dtype)];
      long copied = 0;
      for (Need need : reshard.needs(List.of(new Wanted(0, List.of(wanted))))) {
        Slice from = saved.get(need.piece());
        byte[] piece = Layouts.cut(bytes, shape, dtype, from);
        Overlap overlap = Overlap.of(new Piece(tensor, from), wanted);
        assertThat(overlap.isEmpty()).isFalse();
        for (int at = 0; at < piece.length; ) {
          int length = Math.min(1 + random.nextInt(50), piece.length - at);
          MemorySegment range = MemorySegment.ofArray(piece).asSlice(at, length);
          long some = overlap.copy(range, at, MemorySegment.ofArray(target));
          assertThat(overlap.touches(at, at + length)).isEqualTo(some > 0);
          copied += some;
          at += length;
        }
      }
      assertThat(target).isEqualTo(Layouts.cut(bytes, shape, dtype, wanted));
      assertThat(copied).isEqualTo(target.length);
    }
  }

  private static List<Reshard.Saved> saved(List<Slice> slices) {
    return slices.stream().map(slice -> new Reshard.Saved(0, slice)).toList();
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void theIndexFindsWhatLookingAtEveryBoxFinds(long seed) {
    Random random = new Random(seed);
    Shape shape = Layouts.shape(random, 13);
    List<Slice> boxes = Layouts.any(random, shape, 1 + random.nextInt(8));
    BoxIndex index = new BoxIndex(boxes);
    Tensor tensor = new Tensor("w", Dtype.U8, shape);
    for (Slice wanted : Layouts.any(random, shape, 1 + random.nextInt(8))) {
      assertThat(index.touching(wanted))
          .containsExactly(
              IntStream.range(0, boxes.size())
                  .filter(i -> !Overlap.of(new Piece(tensor, boxes.get(i)), wanted).isEmpty())
                  .toArray());
    }
  }

  /// A matrix of 4 KiB rows: a column of it lies in every granule, a row in one.
  @Test
  void onlyGranulesThatHoldSomethingWantedAreNeeded() {
    Tensor tensor = new Tensor("w", Dtype.F32, Shape.of(1000, 1024));
    Reshard reshard = new Reshard(List.of(tensor), saved(List.of(Slice.whole(tensor.shape()))));
    assertThat(needed(reshard, new Slice(List.of(0L, 7L), Shape.of(1000, 1))))
        .isEqualTo(bits(0, 1, 2, 3));
    assertThat(needed(reshard, new Slice(List.of(256L, 0L), Shape.of(1, 1)))).isEqualTo(bits(1));
    assertThat(needed(reshard, new Slice(List.of(255L, 1023L), Shape.of(1, 1)))).isEqualTo(bits(0));
    assertThat(needed(reshard, new Slice(List.of(255L, 1000L), Shape.of(600, 24))))
        .isEqualTo(bits(0, 1, 2, 3));
    assertThat(needed(reshard, new Slice(List.of(0L, 0L), Shape.of(1000, 1024))))
        .isEqualTo(bits(0, 1, 2, 3));
  }

  /// Planes of 3 MiB, of which one row each is wanted: two of three granules hold nothing.
  @Test
  void granulesBetweenWantedRowsAreNotNeeded() {
    Tensor tensor = new Tensor("w", Dtype.U8, Shape.of(4, 3, Granules.BYTES));
    Reshard reshard = new Reshard(List.of(tensor), saved(List.of(Slice.whole(tensor.shape()))));
    assertThat(needed(reshard, new Slice(List.of(0L, 1L, 5L), Shape.of(4, 1, 9))))
        .isEqualTo(bits(1, 4, 7, 10));
  }

  private static BitSet needed(Reshard reshard, Slice slice) {
    List<Need> needs = reshard.needs(List.of(new Wanted(0, List.of(slice))));
    assertThat(needs).hasSize(1);
    return needs.getFirst().granules();
  }

  private static BitSet bits(int... set) {
    BitSet bits = new BitSet();
    IntStream.of(set).forEach(bits::set);
    return bits;
  }

  @Test
  void elementsSmallerThanAByteAreCutAtBytesOnly() {
    Tensor tensor = new Tensor("w", Dtype.F4, Shape.of(6, 4));
    byte[] bytes = Layouts.random(new Random(1), 12);
    Slice rows = new Slice(List.of(1L, 0L), Shape.of(3, 4));
    Slice columns = new Slice(List.of(1L, 2L), Shape.of(4, 2));
    byte[] found = new byte[4];
    Overlap.of(new Piece(tensor, rows), columns)
        .copy(
            MemorySegment.ofArray(Layouts.cut(bytes, tensor.shape(), Dtype.F4, rows)),
            0,
            MemorySegment.ofArray(found));
    byte[] expected = Layouts.cut(bytes, tensor.shape(), Dtype.F4, columns);
    expected[3] = 0;
    assertThat(found).isEqualTo(expected);
    Reshard reshard = new Reshard(List.of(tensor), saved(List.of(Slice.whole(tensor.shape()))));
    Slice odd = new Slice(List.of(0L, 1L), Shape.of(2, 2));
    assertThatThrownBy(() -> reshard.needs(List.of(new Wanted(0, List.of(odd)))))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining("within a byte");
  }

  @Test
  void whatCannotBeIsRefusedByName() {
    Tensor tensor = new Tensor("w", Dtype.F32, Shape.of(4, 2));
    Reshard reshard = new Reshard(List.of(tensor), saved(List.of(Slice.whole(tensor.shape()))));
    Slice outside = new Slice(List.of(3L, 0L), Shape.of(2, 2));
    assertRefused(
        reshard, List.of(new Wanted(0, List.of(outside))), "tensor w", "[2, 2] at [3, 0]");
    assertRefused(reshard, List.of(Wanted.whole(1)), "from 0 to 0, found 1");
    assertRefused(reshard, List.of(Wanted.whole(0), Wanted.whole(0)), "wanted twice");
    Slice flat = new Slice(List.of(0L), Shape.of(4));
    assertRefused(reshard, List.of(new Wanted(0, List.of(flat))), "expected a slice inside of");
  }

  private static void assertRefused(Reshard reshard, List<Wanted> wanted, String... words) {
    assertThatThrownBy(() -> reshard.needs(wanted))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContainingAll(words);
  }

  @Test
  void whatHasNoElementsNeedsNothing() {
    Tensor empty = new Tensor("empty", Dtype.F32, Shape.of(3, 0));
    Tensor tensor = new Tensor("w", Dtype.F32, Shape.of(4, 2));
    Reshard reshard =
        new Reshard(
            List.of(empty, tensor),
            List.of(
                new Reshard.Saved(0, Slice.whole(empty.shape())),
                new Reshard.Saved(1, Slice.whole(tensor.shape()))));
    Slice nothing = new Slice(List.of(4L, 0L), Shape.of(0, 2));
    assertThat(reshard.needs(List.of(Wanted.whole(0), new Wanted(1, List.of(nothing))))).isEmpty();
    assertThat(reshard.needs(List.of(new Wanted(1, List.of())))).isEmpty();
  }

  /// 300 tensors of 1,024 pieces each, wanted in 1,000 slices each: looking at every pair would be
  /// 300 million looks, and a plan for one rank would be made of 300 thousand.
  @Test
  void whatIsLookedAtGrowsWithWhatIsTouched() {
    Shape shape = Shape.of(3000, 1024);
    List<Slice> columns = Layouts.chunks(Slice.whole(shape), 1, 1024);
    List<Slice> rows = Layouts.chunks(Slice.whole(shape), 0, 1000);
    BoxIndex index = new BoxIndex(rows);
    long found = 0;
    for (Slice wanted : Layouts.chunks(Slice.whole(shape), 0, 1024)) {
      found += index.touching(wanted).length;
    }
    assertThat(found).isEqualTo(1000);
    List<Tensor> tensors = new ArrayList<>();
    List<Reshard.Saved> pieces = new ArrayList<>();
    List<Wanted> wanted = new ArrayList<>();
    for (int t = 0; t < 300; t++) {
      tensors.add(new Tensor("t" + t, Dtype.U8, shape));
      for (Slice column : columns) {
        pieces.add(new Reshard.Saved(t, column));
      }
      wanted.add(new Wanted(t, List.of(columns.get(t))));
    }
    List<Need> needs = new Reshard(tensors, pieces).needs(wanted);
    assertThat(needs).hasSize(300);
    assertThat(needs.get(7).piece()).isEqualTo(7 * 1024 + 7);
  }
}
