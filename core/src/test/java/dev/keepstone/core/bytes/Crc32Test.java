package dev.keepstone.core.bytes;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class Crc32Test {
  @Test
  void theCheckValueOfThePolynomialIsReached() {
    byte[] check = "123456789".getBytes(US_ASCII);
    assertThat(Crc32.hex(Crc32.of(check, 0, 9))).isEqualTo("cbf43926");
    assertThat(Crc32.of(MemorySegment.ofArray(check))).isEqualTo(0xcbf43926);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void aSegmentOffTheHeapHasTheSumOfItsArrayAcrossRequests(long seed) {
    byte[] bytes = bytes(seed, (17 << 20) + 5);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment copy = arena.allocate(bytes.length).copyFrom(MemorySegment.ofArray(bytes));
      assertThat(Crc32.of(copy.asReadOnly())).isEqualTo(Crc32.of(bytes, 0, bytes.length));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void combiningEqualsSummingTheWhole(long seed) {
    Random random = new Random(seed);
    byte[] bytes = bytes(seed, 1 + random.nextInt(300_000));
    int cut = random.nextInt(bytes.length + 1);
    assertThat(
            Crc32.combine(
                Crc32.of(bytes, 0, cut),
                Crc32.of(bytes, cut, bytes.length - cut),
                bytes.length - cut))
        .isEqualTo(Crc32.of(bytes, 0, bytes.length));
  }

  @Test
  void combiningReachesLengthsNoArrayHas() {
    // A length of 2^34 in one step equals two steps of 2^33.
    long half = 1L << 33;
    int crc = 0x12345678;
    int zeros = 0x0badcafe;
    assertThat(Crc32.combine(crc, Crc32.combine(zeros, zeros, half), 2 * half))
        .isEqualTo(Crc32.combine(Crc32.combine(crc, zeros, half), zeros, half));
  }

  @Test
  void combiningWithNothingChangesNothing() {
    assertThat(Crc32.combine(0xcafebabe, 0, 0)).isEqualTo(0xcafebabe);
    assertThat(Crc32.combine(0, 0xcafebabe, 77)).isEqualTo(0xcafebabe);
  }

  @Test
  void textIsEightLowerCaseDigits() {
    assertThat(Crc32.hex(0xff)).isEqualTo("000000ff");
    assertThat(Crc32.parse("9a1f03c2")).isEqualTo(0x9a1f03c2);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "9A1F03C2", "9a1f03c", "9a1f03c22", "0x1f03c2", "-a1f03c2"})
  void otherTextIsRefused(String text) {
    assertThatThrownBy(() -> Crc32.parse(text)).isInstanceOf(IllegalArgumentException.class);
  }

  private static byte[] bytes(long seed, int count) {
    byte[] bytes = new byte[count];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }
}
