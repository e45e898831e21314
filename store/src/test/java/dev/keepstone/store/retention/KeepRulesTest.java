package dev.keepstone.store.retention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.json.JsonWriter;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The rules as they are stored and sent.
final class KeepRulesTest {
  private static KeepRules read(String json) {
    return KeepRules.read(json(json));
  }

  private static Json.Obj json(String text) {
    return JsonReader.readObject(text.getBytes(StandardCharsets.UTF_8));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"keep_last\":3}",
        "{\"keep_last\":\"all\"}",
        "{\"keep_last\":1,\"keep_every\":[\"1000steps\",\"6h\",\"90s\",\"30min\",\"2d\"]}",
        "{\"keep_last\":1,\"keep_best\":2,\"monitor\":\"val_loss\",\"mode\":\"min\"}",
        "{\"keep_last\":1,\"keep_best\":0,\"monitor\":\"acc\",\"mode\":\"max\",\"keep_first\":true}",
        "{\"keep_last\":1,\"keep_since\":\"2026-11-24T07:30:00Z\"}",
      })
  void whatIsWrittenIsReadBack(String text) {
    assertThat(JsonWriter.compact(read(text).toJson())).isEqualTo(text);
  }

  @Test
  void withoutALimitAllAreKept() {
    assertThat(read("{}").keepLast()).isEmpty();
    assertThat(read("{\"keep_every\":[\"2steps\"]}").keepLast()).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"keep_last\":0}",
        "{\"keep_last\":-1}",
        "{\"keep_last\":\"many\"}",
        "{\"keep_last\":3,\"keep_monthly\":4}",
        "{\"keep_every\":[\"0steps\"]}",
        "{\"keep_every\":[\"0s\"]}",
        "{\"keep_every\":[\"sometimes\"]}",
        "{\"keep_every\":[\"99999999999999d\"]}",
        "{\"keep_every\":[6]}",
        "{\"keep_best\":2}",
        "{\"keep_best\":2,\"monitor\":\"loss\"}",
        "{\"keep_best\":2,\"monitor\":\"loss\",\"mode\":\"auto\"}",
        "{\"keep_best\":-1,\"monitor\":\"loss\",\"mode\":\"min\"}",
        "{\"keep_since\":\"yesterday\"}",
      })
  void whatIsNoRuleIsRefusedAndNeverPassedOver(String text) {
    assertThatThrownBy(() -> read(text)).isInstanceOf(JsonException.class);
  }

  @ParameterizedTest
  @CsvSource({
    "1000steps, every 1000 steps",
    "1 step, every step",
    "6h, every 6 h",
    "90s, every 90 s",
    "30m, every 30 min",
    "48h, every 2 d"
  })
  void distancesAreToldInWords(String text, String words) {
    Every every = Every.parse(text);
    assertThat(every.words()).isEqualTo(words);
    assertThat(Every.parse(every.text())).isEqualTo(every);
  }

  @Test
  void howManyARunKeepsIsToldWhereTheRulesSay() {
    assertThat(read("{\"keep_last\":3}").most()).isEqualTo(3);
    assertThat(
            read("{\"keep_last\":3,\"keep_best\":2,\"monitor\":\"l\",\"mode\":\"min\","
                    + "\"keep_first\":true}")
                .most())
        .isEqualTo(6);
    assertThat(read("{\"keep_last\":3,\"keep_every\":[\"5steps\"]}").most())
        .isEqualTo(Integer.MAX_VALUE);
  }
}
