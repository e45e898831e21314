package dev.keepstone.core.format.safetensors;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.MemoryFile;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsHeaderTest {
  private static final int LENGTH_BYTES = 8;

  private static SafetensorsHeader read(byte[] header, long dataBytes) throws IOException {
    return SafetensorsReader.read(MemoryFile.of(header, dataBytes), "test.safetensors");
  }

  private static String json(byte[] header) {
    return new String(header, LENGTH_BYTES, header.length - LENGTH_BYTES, UTF_8);
  }

  @Test
  void theSmallestExampleOfTheFormatIsWrittenByteForByte() {
    byte[] header =
        SafetensorsEncoder.header(List.of(new Tensor("a", Dtype.F32, Shape.of(1, 2))), Map.of(), 8);
    assertThat(json(header))
        .isEqualTo("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}");
    assertThat(ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).getLong()).isEqualTo(56);
    assertThat(SafetensorsEncoder.header(List.of(), Map.of(), 8))
        .isEqualTo("\10\0\0\0\0\0\0\0{}      ".getBytes(UTF_8));
  }

  @Test
  void metadataComesFirstInTheOrderGivenAndPaddingReachesTheAlignment() {
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put("format", "pt");
    metadata.put("a\"b", "ü\n");
    byte[] header =
        SafetensorsEncoder.header(List.of(new Tensor("", Dtype.BOOL, Shape.of())), metadata, 4096);
    assertThat(header).hasSize(4096);
    assertThat(json(header))
        .startsWith("{\"__metadata__\":{\"format\":\"pt\",\"a\\\"b\":\"ü\\n\"},\"\":{\"dtype\"")
        .endsWith("  ");
  }

  @Test
  void aTypeThatTheFormatLacksComesBackAsItself() throws IOException {
    List<Tensor> tensors =
        List.of(
            new Tensor("z", Dtype.C128, Shape.of(2, 3)),
            new Tensor("h", Dtype.C32, Shape.SCALAR),
            new Tensor("w", Dtype.F32, Shape.of(1)));
    byte[] bytes = SafetensorsEncoder.header(tensors, Map.of("format", "pt"), 8);
    SafetensorsHeader header = read(bytes, 96 + 4 + 4);
    assertThat(header.entries().getFirst().dtype()).isEqualTo(Dtype.U8);
    assertThat(header.entries().getFirst().shape()).isEqualTo(Shape.of(2, 3, 16));
    assertThat(header.tensors()).isEqualTo(tensors);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void whatIsWrittenReadsBack(long seed) throws IOException {
    SplittableRandom random = new SplittableRandom(seed);
    List<Tensor> tensors = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      tensors.add(randomTensor(random, i));
    }
    tensors.sort(SafetensorsEncoder.referenceOrder());
    Map<String, String> metadata = random.nextBoolean() ? Map.of("seed", "" + seed) : Map.of();
    byte[] bytes = SafetensorsEncoder.header(tensors, metadata, 4096);
    long dataBytes = tensors.stream().mapToLong(Tensor::byteLength).sum();
    MemoryFile file = MemoryFile.of(bytes, dataBytes);

    SafetensorsHeader header = SafetensorsReader.read(file, "seed " + seed);

    assertThat(header.tensors()).isEqualTo(tensors);
    metadata.forEach((key, value) -> assertThat(header.metadata()).containsEntry(key, value));
    assertThat(header.dataStart())
        .isEqualTo(bytes.length)
        .isEqualTo(header.dataStart() / 4096 * 4096);
    assertThat(file.bytesRead()).isEqualTo(bytes.length);
    for (SafetensorsHeader.Entry entry : header.entries()) {
      long element = Math.max(1, entry.dtype().bits() / 8);
      assertThat(entry.begin() % element).as("%s aligned", entry).isZero();
    }
  }

  private static Tensor randomTensor(SplittableRandom random, int i) {
    Dtype dtype = Dtype.values()[random.nextInt(Dtype.values().length)];
    List<Long> extents = new ArrayList<>();
    int rank = random.nextInt(8) == 0 ? 63 : random.nextInt(4);
    for (int d = 0; d < rank; d++) {
      extents.add(rank == 63 ? 1L : random.nextLong(random.nextInt(6) == 0 ? 1 : 6));
    }
    if (dtype.bits() % 8 != 0) {
      extents.add(4L);
    }
    int[] alphabet = {'a', '"', '\\', '\n', 0x7f, 'ü', 0xfb00, 0x1f600};
    StringBuilder name = new StringBuilder().append(i);
    for (int c = random.nextInt(5); c > 0; c--) {
      name.appendCodePoint(alphabet[random.nextInt(alphabet.length)]);
    }
    return new Tensor(name.toString(), dtype, new Shape(extents));
  }

  @ParameterizedTest
  @ValueSource(longs = {11, 12, 13})
  void everyTruncationAndEveryFlippedBitIsRefusedOrChangesOnlyWhatItSays(long seed)
      throws IOException {
    List<Tensor> tensors =
        List.of(
            new Tensor("layers.0.weight", Dtype.F32, Shape.of(2, 3)),
            new Tensor("layers.0.bias", Dtype.BF16, Shape.of(5)),
            new Tensor("n" + seed, Dtype.U8, Shape.of(0)));
    byte[] file = new byte[34 + SafetensorsEncoder.header(tensors, Map.of(), 8).length];
    byte[] header = SafetensorsEncoder.header(tensors, Map.of(), 8);
    System.arraycopy(header, 0, file, 0, header.length);
    for (int length = 0; length < file.length; length++) {
      byte[] cut = Arrays.copyOf(file, length);
      assertThatThrownBy(() -> SafetensorsReader.read(new MemoryFile(cut), "cut"))
          .isInstanceOf(KeepstoneException.Integrity.class);
    }
    for (int bit = 0; bit < header.length * 8; bit++) {
      byte[] flipped = file.clone();
      flipped[bit / 8] ^= (byte) (1 << bit % 8);
      try {
        SafetensorsHeader read = SafetensorsReader.read(new MemoryFile(flipped), "flipped");
        assertThat(read.fileLength()).isEqualTo(file.length);
      } catch (KeepstoneException.Integrity e) {
        assertThat(e.on()).contains("flipped");
      }
    }
  }

  @Test
  void entriesComeInFileOrderWhateverTheOrderOfTheText() throws IOException {
    List<Tensor> tensors = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      tensors.add(new Tensor("t" + i, Dtype.U8, Shape.of(1)));
    }
    String text = json(SafetensorsEncoder.header(tensors, Map.of(), 8)).strip();
    List<String> entries =
        new ArrayList<>(List.of(text.substring(1, text.length() - 1).split("(?<=}),")));
    Collections.shuffle(entries, new Random(5));
    byte[] shuffled = ("xxxxxxxx{" + String.join(",", entries) + "}").getBytes(UTF_8);
    ByteBuffer.wrap(shuffled).order(ByteOrder.LITTLE_ENDIAN).putLong(shuffled.length - 8L);
    assertThat(read(shuffled, 50).tensors()).isEqualTo(tensors);
  }

  @Test
  void namesOfOneHashAreToldApartAndTwinsAmongThemFound() throws IOException {
    // "Aa" and "BB" have one hash; so have all words made of them.
    List<Tensor> tensors = new ArrayList<>();
    for (int i = 0; i < 1 << 12; i++) {
      StringBuilder name = new StringBuilder();
      for (int bit = 0; bit < 12; bit++) {
        name.append((i >> bit & 1) == 0 ? "Aa" : "BB");
      }
      tensors.add(new Tensor(name.toString(), Dtype.U8, Shape.of(0)));
    }
    byte[] header = SafetensorsEncoder.header(tensors, Map.of(), 8);
    assertThat(read(header, 0).entries()).hasSize(1 << 12);
    byte[] twin =
        new String(header, ISO_8859_1)
            .replace("\"" + tensors.get(7).name(), "\"" + tensors.get(1000).name())
            .getBytes(ISO_8859_1);
    assertThatThrownBy(() -> read(twin, 0))
        .isInstanceOf(KeepstoneException.Integrity.class)
        .hasMessageContaining("given twice")
        .hasMessageContaining(tensors.get(1000).name());
  }

  @Test
  void whatTheFormatCannotHoldIsRefusedBeforeItIsWritten() {
    Tensor one = new Tensor("a", Dtype.U8, Shape.of(1));
    assertRefused(List.of(one, one), "\"a\" is taken");
    assertRefused(List.of(new Tensor("__metadata__", Dtype.U8, Shape.of(1))), "is taken");
    assertRefused(List.of(new Tensor("\ud800", Dtype.U8, Shape.of(1))), "lone surrogate");
    assertThatThrownBy(() -> SafetensorsEncoder.header(List.of(one), Map.of(), 1 << 27))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining("takes 134217720 bytes, the format ends at 100000000");
  }

  private static void assertRefused(List<Tensor> tensors, String words) {
    assertThatThrownBy(() -> SafetensorsEncoder.header(tensors, Map.of(), 8))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining(words);
  }

  @Test
  void aForeignNameCannotSteerTheTerminalThatShowsIt() {
    byte[] header = "xxxxxxxx{\"\\u001b[2J\\u202e\u009b\":null}".getBytes(UTF_8);
    ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putLong(header.length - 8L);
    assertThatThrownBy(() -> read(header, 0))
        .isInstanceOfSatisfying(
            KeepstoneException.Integrity.class,
            e -> assertThat(e.on()).endsWith("tensor \"\\u001b[2J\\u202e\\u009b\""));
  }

  @Test
  void theOffsetOfADefectCountsBytesNotCharacters() {
    byte[] header = "xxxxxxxx{\"ü𝄞\":null}".getBytes(UTF_8);
    ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putLong(header.length - 8L);
    assertThatThrownBy(() -> read(header, 0)).hasMessageContaining("byte 18,");
    byte[] broken = "xxxxxxxx{\"ü𝄞".getBytes(UTF_8);
    broken[broken.length - 1] = '"';
    ByteBuffer.wrap(broken).order(ByteOrder.LITTLE_ENDIAN).putLong(broken.length - 8L);
    assertThatThrownBy(() -> read(broken, 0)).hasMessageContaining("byte 12");
  }

  @Test
  void theOrderOfTheReferenceIsByTypeThenByUtf8() {
    List<Tensor> tensors = new ArrayList<>();
    for (String name : List.of("\ud83d\ude00", "\ufb00", "b", "")) {
      for (Dtype dtype : List.of(Dtype.BOOL, Dtype.U64, Dtype.F32, Dtype.C64)) {
        tensors.add(new Tensor(name, dtype, Shape.of(1)));
      }
    }
    tensors.sort(SafetensorsEncoder.referenceOrder());
    assertThat(tensors.stream().map(t -> t.dtype().name() + " " + t.name()).toList())
        .startsWith("U64 ", "U64 b", "U64 \ufb00", "U64 \ud83d\ude00", "C64 ")
        .endsWith("BOOL b", "BOOL \ufb00", "BOOL \ud83d\ude00");
  }
}
