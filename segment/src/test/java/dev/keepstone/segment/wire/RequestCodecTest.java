package dev.keepstone.segment.wire;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.JsonReader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RequestCodecTest {
  private static Request<?> read(String json) {
    return RequestCodec.read(JsonReader.readObject(json.getBytes(UTF_8)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\u0001',
      textBlock =
          """
          {"v":1}|"do"
          {"do":7}|"do"
          {"do":"hello","v":1,"client":"../../etc/passwd","pid":1,"version":"x","sealed":0}|"client"
          {"do":"hello","v":1,"client":"00112233445566ff","pid":1,"version":"x","sealed":-1}|"sealed"
          {"do":"start","store":"s","run":"r","token":"t","rank":2,"world":2,"wanted":"latest","policy":{}}|"rank"
          {"do":"start","store":"s","run":"r","token":"t","rank":0,"world":0,"wanted":"latest","policy":{}}|"world"
          {"do":"sealed","layout":1,"slot":16,"generation":1,"step":4}|"slot"
          {"do":"sealed","layout":1,"slot":0,"generation":0,"step":4}|"generation"
          {"do":"sealed","layout":1,"slot":0,"generation":1,"step":9007199254740992}|"step"
          {"do":"lend","timeout_ms":-1}|"timeout_ms"
          {"do":"rate","store":"s","run":"r","limit_rate":0}|"limit_rate"
          {"do":"register","pieces":[{"component":"m","name":"w","dtype":"F99","shape":[2]}]}|pieces[0] "w": unknown dtype "F99"
          {"do":"register","pieces":[{"component":"m","name":"w","dtype":"F32","shape":[9223372036854775807,2]}]}|pieces[0] "w": the elements
          {"do":"register","pieces":[{"component":"m","name":"w","dtype":"F32","shape":[2],"offset":[1],"extent":[2]}]}|pieces[0] "w": piece
          {"do":"register","pieces":[{"component":"m","name":"w","dtype":"F4","shape":[3]}]}|pieces[0] "w": F4[3] ends within a byte
          {"do":"register","pieces":[],"state":{},"state_bytes":0,"slots":1,"budget":null,"configs":{},"provenance":{}}|"slots"
          """)
  void aRequestOutOfRangeIsRefusedNamingTheField(String json, String named) {
    assertThatThrownBy(() -> read(json))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining(named);
  }

  @Test
  void unknownFieldsAreIgnored() {
    assertThat(read("{\"do\":\"next\",\"hurry\":true}")).isEqualTo(new Request.Next());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\u0001',
      textBlock =
          """
          {"do":"dance"}
          {"do":"hello","v":2,"client":"00112233445566ff","pid":1,"version":"x","sealed":0}
          """)
  void unknownVerbsAndVersionsAreUnsupported(String json) {
    assertThatThrownBy(() -> read(json)).isInstanceOf(KeepstoneException.Unsupported.class);
  }

  @Test
  void aTimeoutThatIsNotNamedIsTwoMinutes() {
    assertThat(read("{\"do\":\"lend\"}")).isEqualTo(new Request.Lend(120_000));
  }
}
