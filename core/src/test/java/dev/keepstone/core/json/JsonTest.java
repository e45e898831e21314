package dev.keepstone.core.json;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "null",
        "true",
        "[]",
        "{}",
        "-0.0",
        "1",
        "1.0",
        "9223372036854775807",
        "9223372036854775808",
        "-1000000000000000019884624838656",
        "4.9E-324",
        "[1,[2,{\"a\":null}],\"\\u0000\\n\\\"\\\\\"]",
        "{\"b\":1,\"a\":2}",
        "\"\\ud800\"",
        "\"𝄞 ü\""
      })
  void compactTextReadsBackToItself(String text) {
    assertThat(JsonWriter.compact(JsonReader.read(text.getBytes(UTF_8)))).isEqualTo(text);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{\"a\":1,\"a\":2}",
        "NaN",
        "[1] 2",
        "{'a':1}",
        "[1,]",
        "1e999",
        "{\"a\"",
        "nul"
      })
  void whatIsNoStrictJsonIsRefused(String text) {
    assertThatThrownBy(() -> JsonReader.read(text.getBytes(UTF_8)))
        .isInstanceOf(JsonException.class);
  }

  @Test
  void nestingIsBounded() {
    String deep = "[".repeat(100_000);
    assertThatThrownBy(() -> JsonReader.read(deep.getBytes(UTF_8)))
        .isInstanceOf(JsonException.class);
  }

  @Test
  void aFieldOfAnotherTypeIsNamedWithWhatWasFound() {
    Json.Obj object = JsonReader.readObject("{\"step\":\"x\"}".getBytes(UTF_8));
    assertThatThrownBy(() -> object.integer("step"))
        .hasMessageContaining("\"step\"")
        .hasMessageContaining("expected an integer")
        .hasMessageContaining("\"x\"");
    assertThatThrownBy(() -> object.integer("absent")).hasMessageContaining("missing");
  }
}
