package dev.keepstone.core.health;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.core.tensor.Dtype;
import java.lang.foreign.MemorySegment;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class HealthScanTest {
  static Stream<Arguments> typesAndSeeds() {
    return Stream.of(Dtype.F64, Dtype.F32, Dtype.F16, Dtype.BF16)
        .flatMap(dtype ->
            Stream.iterate(1L, seed -> seed + 1).limit(12).map(s -> Arguments.of(dtype, s)));
  }

  @ParameterizedTest
  @MethodSource("typesAndSeeds")
  void theLoopsAgreeWithTheDefinition(Dtype dtype, long seed) {
    Random random = new Random(seed);
    int count = random.nextInt(5) == 0 ? random.nextInt(3) : random.nextInt(40_000);
    // Blocks without, with few and with many special values take different ways.
    int special = new int[] {0, 0, 50_000, 10, 1}[random.nextInt(5)];
    int bytes = dtype.bits() / 8;
    ByteBuffer buffer = ByteBuffer.allocate(count * bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      long bits =
          special > 0 && random.nextInt(special) == 0
              ? special(dtype, random)
              : ordinary(dtype, random);
      switch (bytes) {
        case 8 -> buffer.putLong(bits);
        case 4 -> buffer.putInt((int) bits);
        default -> buffer.putShort((short) bits);
      }
    }
    assertAgrees(scan(dtype, buffer.array(), random), naive(dtype, buffer));
  }

  private static Health scan(Dtype dtype, byte[] bytes, Random random) {
    HealthScan scan = HealthScan.of(dtype);
    int element = dtype.bits() / 8;
    for (int at = 0; at < bytes.length; ) {
      int length = Math.min(bytes.length - at, (1 + random.nextInt(70_000)) * element);
      scan.accept(MemorySegment.ofArray(bytes).asSlice(at, length));
      at += length;
    }
    return scan.result();
  }

  private static long special(Dtype dtype, Random random) {
    long sign = random.nextBoolean() ? 1L << (dtype.bits() - 1) : 0;
    int mantissa =
        switch (dtype) {
          case F64 -> 52;
          case F32 -> 23;
          case F16 -> 10;
          default -> 7;
        };
    long infinity = ((1L << (dtype.bits() - 1)) - 1) & -(1L << mantissa);
    long payload = random.nextLong() & ((1L << mantissa) - 1);
    return sign
        | switch (random.nextInt(6)) {
          case 0 -> infinity;
          case 1 -> infinity | payload; // a NaN, or now and then an infinity
          case 2 -> payload; // subnormal
          case 3 -> 0; // with the sign: -0.0
          case 4 -> infinity - 1; // the greatest finite one
          default -> 1;
        };
  }

  private static long ordinary(Dtype dtype, Random random) {
    double value = random.nextGaussian() * Math.pow(2, random.nextInt(9) - 4);
    return switch (dtype) {
      case F64 -> Double.doubleToRawLongBits(value);
      case F32 -> Float.floatToRawIntBits((float) value);
      case F16 -> Float.floatToFloat16((float) value);
      default -> Float.floatToRawIntBits((float) value) >> 16;
    };
  }

  private static double value(Dtype dtype, ByteBuffer from, int i) {
    return switch (dtype) {
      case F64 -> from.getDouble(8 * i);
      case F32 -> from.getFloat(4 * i);
      case F16 -> Float.float16ToFloat(from.getShort(2 * i));
      default -> Float.intBitsToFloat(from.getShort(2 * i) << 16);
    };
  }

  private static Health naive(Dtype dtype, ByteBuffer bytes) {
    int count = bytes.capacity() / (dtype.bits() / 8);
    long nonfinite = 0;
    double min = Double.POSITIVE_INFINITY;
    double max = Double.NEGATIVE_INFINITY;
    BigDecimal squares = BigDecimal.ZERO;
    MathContext digits = new MathContext(40);
    for (int i = 0; i < count; i++) {
      double value = value(dtype, bytes, i);
      if (!Double.isFinite(value)) {
        nonfinite++;
        continue;
      }
      min = Math.min(min, value);
      max = Math.max(max, value);
      squares = squares.add(new BigDecimal(value).pow(2, digits), digits);
    }
    if (nonfinite == count) {
      return new Health(nonfinite, null, null, null);
    }
    double norm = squares.sqrt(digits).doubleValue();
    return new Health(nonfinite, min, max, Double.isFinite(norm) ? norm : null);
  }

  private static void assertAgrees(Health found, Health expected) {
    // Equality of records compares doubles by their bits: -0.0 is not 0.0.
    assertThat(new Health(found.nonfinite(), found.min(), found.max(), null))
        .isEqualTo(new Health(expected.nonfinite(), expected.min(), expected.max(), null));
    @Nullable Double norm = expected.norm();
    if (norm == null) {
      assertThat(found.norm()).isNull();
    } else {
      assertThat(found.norm()).isCloseTo(norm, within(norm * 1e-12 + Double.MIN_VALUE));
    }
  }

  @Test
  void squaresBeyondTheRangeOfDoublesStillHaveANorm() {
    assertThat(of(3e200, 4e200).norm()).isCloseTo(5e200, within(1e188));
    assertThat(of(3e-200, -4e-200).norm()).isCloseTo(5e-200, within(1e-212));
    assertThat(of(Double.MIN_VALUE).norm()).isEqualTo(Double.MIN_VALUE);
    assertThat(of(Double.MAX_VALUE, Double.MAX_VALUE).norm()).isNull();
  }

  @Test
  void blocksOfUnlikeMagnitudeAddUp() {
    double[] values = new double[3 * 8192];
    values[0] = 3e200;
    values[8192] = 4e150;
    values[16384] = 5e-200;
    assertThat(of(values).norm()).isCloseTo(3e200, within(1e188));
    values[0] = 0;
    assertThat(of(values).norm()).isCloseTo(4e150, within(1e138));
  }

  @Test
  void zerosHaveSigns() {
    assertThat(of(0.0, -0.0)).isEqualTo(new Health(0, -0.0, 0.0, 0.0));
  }

  @Test
  void nothingHasNeitherExtremesNorNorm() {
    assertThat(of()).isEqualTo(new Health(0, null, null, null));
    assertThat(of(Double.NaN, Double.NEGATIVE_INFINITY)).isEqualTo(new Health(2, null, null, null));
  }

  private static Health of(double... values) {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * 8).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asDoubleBuffer().put(values);
    HealthScan scan = HealthScan.of(Dtype.F64);
    scan.accept(MemorySegment.ofArray(bytes.array()));
    return scan.result();
  }

  @Test
  void halfAnElementAndTypesWithoutOrderAreRefused() {
    assertThatThrownBy(() -> HealthScan.of(Dtype.F32).accept(MemorySegment.ofArray(new byte[6])))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(HealthScan.counts(Dtype.I64)).isFalse();
    assertThatThrownBy(() -> HealthScan.of(Dtype.C64)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void jsonRoundTrips() {
    Health health = new Health(3, -0.0, 0.1, null);
    String json = "{\"nonfinite\":3,\"min\":-0.0,\"max\":0.1,\"norm\":null}";
    assertThat(JsonWriter.compact(health.toJson())).isEqualTo(json);
    assertThat(Health.fromJson(JsonReader.readObject(json.getBytes(UTF_8)))).isEqualTo(health);
    assertThatThrownBy(
            () -> Health.fromJson(JsonReader.readObject(json.replace("3", "-3").getBytes(UTF_8))))
        .isInstanceOf(JsonException.class);
  }
}
