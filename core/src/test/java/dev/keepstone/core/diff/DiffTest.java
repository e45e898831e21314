package dev.keepstone.core.diff;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.convert.Selection;
import dev.keepstone.core.diff.DiffReport.Changed;
import dev.keepstone.core.diff.DiffReport.Kind;
import dev.keepstone.core.diff.DiffReport.Numbers;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class DiffTest {
  static LongStream seeds() {
    return LongStream.rangeClosed(1, 60);
  }

  private static DiffReport diff(InMemory a, InMemory b) throws IOException {
    return Diff.of(a, b, Selection.ALL, Progress.NONE);
  }

  private static Changed one(DiffReport report) {
    assertThat(report.changed()).hasSize(1);
    return report.changed().getFirst();
  }

  private static Numbers numbers(DiffReport report) {
    return Objects.requireNonNull(one(report).numbers());
  }

  private static byte[] floats(double... values) {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    for (double value : values) {
      bytes.putFloat((float) value);
    }
    return bytes.array();
  }

  private static byte[] doubles(double... values) {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * 8).order(ByteOrder.LITTLE_ENDIAN);
    for (double value : values) {
      bytes.putDouble(value);
    }
    return bytes.array();
  }

  private static byte[] longs(long... values) {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * 8).order(ByteOrder.LITTLE_ENDIAN);
    for (long value : values) {
      bytes.putLong(value);
    }
    return bytes.array();
  }

  /// F32 and BF16 on either side, pieces cut anywhere, some elements not finite.
  @ParameterizedTest
  @MethodSource("seeds")
  void numbersAreThoseOfTheDefinitionWhateverThePiecesAndTypes(long seed) throws IOException {
    Random random = new Random(seed);
    long[] extents = new long[1 + random.nextInt(3)];
    for (int d = 0; d < extents.length; d++) {
      extents[d] = 1 + random.nextInt(extents.length == 1 ? 60_000 : 40);
    }
    Shape shape = Shape.of(extents);
    Dtype typeA = random.nextBoolean() ? Dtype.F32 : Dtype.BF16;
    Dtype typeB = random.nextBoolean() ? Dtype.F32 : Dtype.BF16;
    int count = (int) shape.elementCount();
    double[] a = new double[count];
    double[] b = new double[count];
    byte[] bytesA = draw(random, typeA, a, null);
    byte[] bytesB = draw(random, typeB, b, a);
    DiffReport report =
        diff(
            new InMemory().with("model", new Tensor("w", typeA, shape), bytesA, random),
            new InMemory().with("model", new Tensor("w", typeB, shape), bytesB, random));

    assertThat(one(report).kind()).isEqualTo(typeA == typeB ? Kind.VALUES : Kind.DTYPE);
    Numbers numbers = numbers(report);
    double aa = 0, bb = 0, ab = 0, dd = 0, most = 0;
    long badA = 0, badB = 0;
    for (int i = 0; i < count; i++) {
      badA += Double.isFinite(a[i]) ? 0 : 1;
      badB += Double.isFinite(b[i]) ? 0 : 1;
      if (Double.isFinite(a[i]) && Double.isFinite(b[i])) {
        aa += a[i] * a[i];
        bb += b[i] * b[i];
        ab += a[i] * b[i];
        dd += (a[i] - b[i]) * (a[i] - b[i]);
        most = Math.max(most, Math.abs(a[i] - b[i]));
      }
    }
    assertThat(numbers.nonfiniteA()).isEqualTo(badA);
    assertThat(numbers.nonfiniteB()).isEqualTo(badB);
    if (aa > 0 && bb > 0) {
      assertThat(numbers.maxAbs()).isEqualTo(most);
      assertThat(numbers.relL2()).isCloseTo(Math.sqrt(dd / aa), within(1e-9));
      assertThat(numbers.cosine()).isCloseTo(ab / Math.sqrt(aa) / Math.sqrt(bb), within(1e-9));
    }
  }

  /// @param near values to stay near to, with at least one that differs
  private static byte[] draw(Random random, Dtype type, double[] values, double @Nullable [] near) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * type.bits() / 8).order(ByteOrder.LITTLE_ENDIAN);
    boolean special = random.nextInt(3) == 0;
    for (int i = 0; i < values.length; i++) {
      float value = (float) random.nextGaussian();
      if (near != null && i > 0) {
        value = random.nextInt(10) == 0 ? (float) near[i] + 0.5f : (float) near[i];
      } else if (near != null) {
        value = 1000;
      }
      if (special && random.nextInt(50) == 0) {
        value = random.nextBoolean() ? Float.NaN : Float.NEGATIVE_INFINITY;
      }
      int bits = Float.floatToRawIntBits(value);
      if (type == Dtype.BF16) {
        bytes.putShort((short) (bits >>> 16));
        values[i] = Float.intBitsToFloat(bits & 0xffff0000);
      } else {
        bytes.putInt(bits);
        values[i] = value;
      }
    }
    return bytes.array();
  }

  @Test
  void aTensorOfManyColumnsPiecesIsTheWholeOne() throws IOException {
    Random random = new Random(3);
    byte[] content = new byte[3000 * 1700 * 4];
    random.nextBytes(content);
    Tensor tensor = new Tensor("w", Dtype.I32, Shape.of(3000, 1700));
    DiffReport report =
        diff(
            new InMemory().with("m", tensor, content, null),
            new InMemory().with("m", tensor, content, random));
    assertThat(report.equal()).isTrue();
    assertThat(report.unchanged()).isEqualTo(1);
  }

  @Test
  void theSameBytesUnderAnotherNameAreARenameAndNamesThatEndAlikeGoTogether() throws IOException {
    byte[] ones = floats(1, 1, 1);
    InMemory a = new InMemory();
    InMemory b = new InMemory();
    for (int layer = 0; layer < 12; layer++) {
      a.with("model", "layers." + layer + ".norm", Dtype.F32, ones);
      b.with("model", "model.layers." + layer + ".norm", Dtype.F32, ones);
    }
    a.with("model", "old", Dtype.F32, floats(1, 2, 3));
    b.with("model", "new", Dtype.F32, floats(1, 2, 4));
    DiffReport report = diff(a, b);
    assertThat(report.renamed()).hasSize(12);
    assertThat(report.renamed())
        .allSatisfy(renamed ->
            assertThat(renamed.to().tensor().name())
                .isEqualTo("model." + renamed.from().tensor().name()));
    assertThat(report.removed()).extracting(named -> named.tensor().name()).containsExactly("old");
    assertThat(report.added()).extracting(named -> named.tensor().name()).containsExactly("new");
    assertThat(report.equal()).isFalse();
  }

  @Test
  void aFormatWithoutComponentsIsComparedWithTheModel() throws IOException {
    InMemory stored =
        new InMemory()
            .with("model", "w", Dtype.F32, floats(1, 2))
            .with("optimizer", "w", Dtype.F32, floats(7, 7));
    DiffReport report = diff(new InMemory().with("", "w", Dtype.F32, floats(1, 2)), stored);
    assertThat(report.unchanged()).isEqualTo(1);
    assertThat(report.added()).extracting(DiffReport.Named::text).containsExactly("optimizer: w");
    InMemory ema = new InMemory().with("ema", "w", Dtype.F32, floats(1, 2));
    assertThat(diff(ema, new InMemory().with("", "w", Dtype.F32, floats(1, 2))).equal()).isTrue();
  }

  @Test
  void changesOfFormComeFirstThenTheLargest() throws IOException {
    InMemory a =
        new InMemory()
            .with("", "small", Dtype.F32, floats(1, 1))
            .with("", "large", Dtype.F32, floats(1, 1))
            .with("", "shape", Dtype.F32, floats(1, 1))
            .with("", "zero", Dtype.F32, floats(0, 0))
            .with("", "dtype", Dtype.I32, floats(0, 0));
    InMemory b =
        new InMemory()
            .with("", "small", Dtype.F32, floats(1, 1.1))
            .with("", "large", Dtype.F32, floats(-1, 1))
            .with("", "shape", Dtype.F32, floats(1, 1, 1))
            .with("", "zero", Dtype.F32, floats(0, 3))
            .with("", "dtype", Dtype.F32, floats(0, 0));
    DiffReport report = diff(a, b);
    assertThat(report.changed())
        .extracting(change -> change.a().tensor().name())
        .containsExactly("shape", "dtype", "zero", "large", "small");
    assertThat(report.changed().get(0).numbers()).isNull();
    assertThat(report.changed().get(1).numbers()).isEqualTo(new Numbers(0.0, 0.0, null, 0, 0));
    assertThat(report.changed().get(2).numbers()).isEqualTo(new Numbers(3.0, null, null, 0, 0));
  }

  @Test
  void aBitThatChangesNoValueIsAChange() throws IOException {
    Numbers numbers =
        numbers(
            diff(
                new InMemory().with("", "w", Dtype.F32, floats(0, 1)),
                new InMemory().with("", "w", Dtype.F32, floats(-0.0, 1))));
    assertThat(numbers.maxAbs()).isZero();
    assertThat(numbers.relL2()).isZero();
  }

  @Test
  void numbersOutsideTheRangeOfSquaresAreStillRight() throws IOException {
    for (double unit : List.of(1e300, 1e-310, 1.0)) {
      Numbers numbers =
          numbers(
              diff(
                  new InMemory().with("", "w", Dtype.F64, doubles(3 * unit, 4 * unit)),
                  new InMemory().with("", "w", Dtype.F64, doubles(3 * unit, 8 * unit))));
      assertThat(numbers.maxAbs()).isCloseTo(4 * unit, within(unit * 1e-9));
      assertThat(numbers.relL2()).isCloseTo(0.8, within(1e-9));
    }
  }

  @Test
  void longIntegersAreSubtractedAsWhatTheyAre() throws IOException {
    long far = (1L << 60) + 1;
    for (Dtype type : List.of(Dtype.I64, Dtype.U64)) {
      Numbers numbers =
          numbers(
              diff(
                  new InMemory().with("", "step", type, longs(far, 5)),
                  new InMemory().with("", "step", type, longs(far + 1, 5))));
      assertThat(numbers.maxAbs()).isEqualTo(1.0);
    }
  }

  @Test
  void bytesOfEightBitFloatsHaveTheirValues() throws IOException {
    // By the formats' definitions: largest E4M3 is 448, smallest subnormal E5M2 is 2^-16.
    assertThat(maxAbs(Dtype.F8_E4M3, 0x7e)).isEqualTo(448);
    assertThat(maxAbs(Dtype.F8_E5M2, 0x01)).isEqualTo(Math.scalb(1.0, -16));
    assertThat(maxAbs(Dtype.F8_E4M3FNUZ, 0x7f)).isEqualTo(240);
    assertThat(maxAbs(Dtype.F8_E5M2FNUZ, 0xff)).isEqualTo(57344);
    assertThat(maxAbs(Dtype.I8, 0xff)).isEqualTo(1);
    assertThat(maxAbs(Dtype.U8, 0xff)).isEqualTo(255);
    assertThat(maxAbs(Dtype.F4, 0xf0)).isEqualTo(6);
  }

  private static double maxAbs(Dtype type, int bits) throws IOException {
    Numbers numbers =
        numbers(
            diff(
                new InMemory().with("", "w", type, new byte[] {0, 0}),
                new InMemory().with("", "w", type, new byte[] {0, (byte) bits})));
    return Objects.requireNonNull(numbers.maxAbs());
  }

  @Test
  void complexElementsDifferByTheirModulus() throws IOException {
    Numbers numbers =
        numbers(
            diff(
                new InMemory().with("", "w", Dtype.C64, floats(1, 1, Double.NaN, 1)),
                new InMemory().with("", "w", Dtype.C64, floats(4, 5, 1, 1))));
    assertThat(numbers.maxAbs()).isEqualTo(5);
    assertThat(numbers.nonfiniteA()).isEqualTo(1);
    assertThat(numbers.nonfiniteB()).isZero();
  }

  @Test
  void stateDiffersByPath() throws IOException {
    String a =
        """
        {"state":{"opt":{"groups":[{"lr":0.1,"betas":{"~":"tuple","v":[0.9,0.99]}}],"only_a":1},"n":1,
         "by":{"~":"dict","v":[[1,"x"],[2,"y"]]},"o":{"~":"odict","v":[["p",1],["q",2]]}},"keepstone":{}}\
        """;
    String b =
        """
        {"state":{"n":1.0,"opt":{"groups":[{"lr":0.2,"betas":{"~":"tuple","v":[0.9,0.999]}},{"lr":1.0}]},
         "by":{"~":"dict","v":[[2,"z"],[1,"x"]]},"o":{"~":"odict","v":[["q",2],["p",1]]}},"keepstone":{}}\
        """;
    DiffReport report = diff(new InMemory().state(json(a)), new InMemory().state(json(b)));
    assertThat(report.stateCompared()).isTrue();
    assertThat(report.state())
        .extracting(DiffReport.StateChange::path)
        .containsExactlyInAnyOrder(
            "state[\"opt\"][\"groups\"][0][\"lr\"]",
            "state[\"opt\"][\"groups\"][0][\"betas\"][1]",
            "state[\"opt\"][\"groups\"][1]",
            "state[\"opt\"][\"only_a\"]",
            "state[\"n\"]",
            "state[\"by\"][2]",
            "state[\"o\"]");
    assertThat(diff(new InMemory().state(json(a)), new InMemory()).stateCompared()).isFalse();
  }

  private static Json.Obj json(String text) {
    return JsonReader.readObject(text.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void onlyWhatIsAskedForIsCompared() throws IOException {
    InMemory a = new InMemory().with("", "a.w", Dtype.F32, floats(1)).state(json("{\"state\":1}"));
    InMemory b = new InMemory().with("", "b.w", Dtype.F32, floats(2)).state(json("{\"state\":2}"));
    DiffReport report = Diff.of(a, b, new Selection(List.of("a.*"), List.of()), Progress.NONE);
    assertThat(report.removed()).hasSize(1);
    assertThat(report.added()).isEmpty();
    assertThat(report.state()).isEmpty();
  }

  @Test
  void anInterruptEndsIt() {
    InMemory a = new InMemory().with("", "w", Dtype.F32, floats(1));
    Thread.currentThread().interrupt();
    assertThatThrownBy(() -> diff(a, a)).isInstanceOf(InterruptedIOException.class);
    assertThat(Thread.interrupted()).isFalse();
  }
}
