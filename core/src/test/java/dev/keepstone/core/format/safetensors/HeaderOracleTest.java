package dev.keepstone.core.format.safetensors;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.nio.charset.CodingErrorAction;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.core.JacksonException;

/// The header's own scanner against a general JSON library, over texts that are right, nearly right
/// and broken.
class HeaderOracleTest {
  private static final int TEXTS_PER_SEED = 3000;

  /// What one reader says of a text.
  ///
  /// @param refusal in words, or what it is not: the readers word that each in their own way
  private record Verdict(
      String refusal, List<SafetensorsHeader.Entry> entries, Map<String, String> metadata) {
    static final String NOT_JSON = "not JSON";

    static Verdict refused(String refusal) {
      return new Verdict(refusal, List.of(), Map.of());
    }

    boolean isAccepted() {
      return refusal.isEmpty();
    }

    /// This one, or the other where both refuse and one of them because of the JSON: a text that
    /// breaks two rules is refused for the one that its reader comes to first.
    Verdict unlessSyntax(Verdict other) {
      boolean syntax = refusal.equals(NOT_JSON) || other.refusal.equals(NOT_JSON);
      return syntax && !isAccepted() && !other.isAccepted() ? other : this;
    }
  }

  static LongStream seeds() {
    return LongStream.rangeClosed(1, 8);
  }

  @ParameterizedTest(name = "seed {0}")
  @MethodSource("seeds")
  void bothReadersSayTheSameOfEveryText(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int accepted = 0;
    int refused = 0;
    for (int i = 0; i < TEXTS_PER_SEED; i++) {
      byte[] text = new Text(random).header();
      for (int changes = random.nextInt(4); changes > 0; changes--) {
        text = changed(text, random);
      }
      Verdict found = scanned(text);
      Verdict expected = oracle(text);
      assertThat(found.unlessSyntax(expected))
          .as("text %d of seed %d: %s", i, seed, new String(text, ISO_8859_1))
          .isEqualTo(expected);
      if (found.isAccepted()) {
        accepted++;
      } else if (!found.refusal().equals(Verdict.NOT_JSON)) {
        refused++;
      }
    }
    assertThat(accepted).isGreaterThan(TEXTS_PER_SEED / 5);
    assertThat(refused).isGreaterThan(TEXTS_PER_SEED / 20);
  }

  private static Verdict scanned(byte[] text) {
    HeaderParser parser = new HeaderParser(text.clone(), 0);
    try {
      parser.parse();
      return new Verdict("", List.copyOf(parser.entries()), parser.metadata());
    } catch (HeaderText.Defect e) {
      String words = String.valueOf(e.getMessage());
      return words.startsWith("the header is not ")
          ? Verdict.refused(Verdict.NOT_JSON)
          : Verdict.refused(words.replaceFirst("(text after the end of the JSON object).*", "$1"));
    }
  }

  private static Verdict oracle(byte[] text) {
    JacksonHeader parser =
        new JacksonHeader(
            new InputStreamReader(
                new ByteArrayInputStream(text),
                UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)));
    try {
      parser.parse();
      return new Verdict("", List.copyOf(parser.entries()), parser.metadata());
    } catch (JacksonHeader.Defect e) {
      return Verdict.refused(String.valueOf(e.getMessage()));
    } catch (JacksonException e) {
      return Verdict.refused(Verdict.NOT_JSON);
    }
  }

  private static byte[] changed(byte[] text, SplittableRandom random) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    int at = random.nextInt(text.length + 1);
    out.write(text, 0, at);
    int skipped = Math.min(text.length - at, random.nextInt(3));
    switch (random.nextInt(5)) {
      case 0 -> out.write(random.nextInt(256));
      case 1 ->
          out.writeBytes(
              "{}[]\",:\\0-.eE1 tn\u0000"
                  .substring(random.nextInt(17))
                  .substring(0, 1)
                  .getBytes(UTF_8));
      case 2 -> out.writeBytes(new Text(random).value(2).getBytes(UTF_8));
      case 3 -> {
        int from = random.nextInt(text.length + 1);
        out.write(text, from, Math.min(text.length - from, random.nextInt(40)));
      }
      default -> {}
    }
    out.write(text, at + skipped, text.length - at - skipped);
    return out.toByteArray();
  }

  /// Makes up texts of headers.
  private record Text(SplittableRandom random) {
    byte[] header() {
      StringBuilder out = new StringBuilder("{");
      long begin = 0;
      for (int i = random.nextInt(4); i > 0; i--) {
        long elements = random.nextInt(3);
        out.append(string()).append(blank()).append(':').append(blank());
        out.append(entry(elements, begin)).append(blank()).append(',');
        begin += 4 * elements;
      }
      if (random.nextBoolean()) {
        out.append("\"__metadata__\":").append(metadata());
      } else if (out.length() > 1) {
        out.setLength(out.length() - 1);
      }
      return out.append(blank()).append('}').append(blank()).toString().getBytes(UTF_8);
    }

    private String entry(long elements, long begin) {
      String dtype = random.nextInt(12) == 0 ? string() : "\"F32\"";
      String shape = "[" + elements + (random.nextBoolean() ? ", 1" : "") + "]";
      String offsets = "[" + begin + "," + blank() + (begin + 4 * elements) + "]";
      if (random.nextInt(6) == 0) {
        return "[" + dtype + "," + shape + "," + offsets + "]";
      }
      List<String> fields =
          List.of(
              "\"dtype\":" + dtype,
              (random.nextInt(6) == 0 ? "\"sh\\u0061pe\":" : "\"shape\":") + shape,
              "\"data_offsets\"" + blank() + ":" + offsets);
      StringBuilder out = new StringBuilder("{");
      int first = random.nextInt(3);
      IntStream.range(first, first + 3)
          .forEach(i -> {
            out.append(i > first ? "," : "").append(fields.get(i % 3));
            if (random.nextInt(5) == 0) {
              out.append(",").append(string()).append(":").append(value(0));
            }
          });
      return out.append("}").toString();
    }

    private String metadata() {
      StringBuilder out = new StringBuilder("{");
      for (int i = random.nextInt(3); i > 0; i--) {
        out.append(out.length() > 1 ? "," : "").append(string()).append(":");
        out.append(random.nextInt(8) == 0 ? value(0) : string());
      }
      return random.nextInt(8) == 0 ? "null" : out.append("}").toString();
    }

    String value(int depth) {
      return switch (random.nextInt(depth > 3 ? 8 : 10)) {
        case 0 -> "true";
        case 1 -> "false";
        case 2 -> "null";
        case 3 -> "-0";
        case 4 -> "" + random.nextLong();
        case 5 -> random.nextDouble() + (random.nextBoolean() ? "e+" + random.nextInt(9) : "");
        case 6 -> "9223372036854775808";
        case 7 -> string();
        case 8 -> {
          int levels = random.nextInt(10) == 0 ? 120 + random.nextInt(8) : random.nextInt(3);
          yield "[".repeat(levels) + "]".repeat(levels).replaceFirst("^$", "[]");
        }
        default -> "{" + string() + ":" + value(depth + 1) + "}";
      };
    }

    private String string() {
      List<String> alphabet =
          List.of(
              "a",
              "b",
              "\\u0061",
              "\\n",
              "\\\"",
              "\\/",
              "ü",
              "ﬀ",
              "𝄞",
              "\\ud834\\udd1e",
              "\u007f",
              "dtype",
              "\\ud800");
      StringBuilder out = new StringBuilder("\"");
      for (int i = random.nextInt(4); i > 0; i--) {
        // The last, half a character, is rare: most texts should be right.
        out.append(alphabet.get(random.nextInt(random.nextInt(20) == 0 ? 13 : 12)));
      }
      return out.append('"').toString();
    }

    private String blank() {
      return random.nextInt(6) == 0 ? " \t\r\n".substring(random.nextInt(5)) : "";
    }
  }
}
