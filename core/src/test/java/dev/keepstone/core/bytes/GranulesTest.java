package dev.keepstone.core.bytes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GranulesTest {
  @Test
  void aPieceIsCutEveryMebibyte() {
    assertThat(Granules.count(0)).isZero();
    assertThat(Granules.count(1)).isEqualTo(1);
    assertThat(Granules.count(1 << 20)).isEqualTo(1);
    assertThat(Granules.count((1 << 20) + 1)).isEqualTo(2);
    assertThat(Granules.count(Long.MAX_VALUE)).isEqualTo(1L << 43);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 1 << 20, (1 << 20) + 1, 3 << 20})
  void theirSumsCombineToThatOfThePiece(int length) {
    byte[] bytes = new byte[length];
    new Random(length).nextBytes(bytes);
    int[] crcs = Granules.of(MemorySegment.ofArray(bytes));
    assertThat(crcs).hasSize((int) Granules.count(length));
    assertThat(Granules.combine(crcs, length)).isEqualTo(Crc32.of(bytes, 0, length));
  }

  @Test
  void textRoundTrips() {
    int[] crcs = {0, -1, 0x9a1f03c2};
    assertThat(Granules.hex(crcs)).isEqualTo("00000000ffffffff9a1f03c2");
    assertThat(Granules.parse("00000000ffffffff9a1f03c2")).isEqualTo(crcs);
    assertThat(Granules.parse("")).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "000000000", "0000000G", "00000000FFFFFFFF"})
  void otherTextIsRefused(String text) {
    assertThatThrownBy(() -> Granules.parse(text)).isInstanceOf(IllegalArgumentException.class);
  }
}
