package dev.keepstone.segment.wire;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.segment.SpecText;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class WireExamplesTest {
  private static final Map<String, String> EXAMPLES = SpecText.examples("wire.md");

  static Stream<String> requests() {
    return EXAMPLES.keySet().stream()
        .filter(name -> name.endsWith("-request") || name.equals("hello"));
  }

  static Stream<String> answers() {
    return EXAMPLES.keySet().stream().filter(name -> name.contains("-answer"));
  }

  private static Json.Obj example(String name) {
    return JsonReader.readObject(String.valueOf(EXAMPLES.get(name)).getBytes(UTF_8));
  }

  @ParameterizedTest
  @MethodSource("requests")
  void everyRequestOfTheSpecReadsBackToItself(String name) {
    Json.Obj json = example(name);
    assertThat(RequestCodec.toJson(RequestCodec.read(json))).isEqualTo(json);
  }

  @ParameterizedTest
  @MethodSource("answers")
  void everyAnswerOfTheSpecReadsBackToItself(String name) {
    Json.Obj json = example(name);
    Request<?> request = requestOf(name.substring(0, name.indexOf("-answer")));
    assertThat(AnswerCodec.toJson(request.readAnswer(json))).isEqualTo(json);
  }

  private static Request<?> requestOf(String verb) {
    String example = verb.equals("hello") ? verb : verb + "-request";
    return EXAMPLES.containsKey(example)
        ? RequestCodec.read(example(example))
        : RequestCodec.read(Json.object().put("do", verb).build());
  }

  @Test
  void theEventOfTheSpecReadsBackToItself() {
    assertThat(Event.read(example("event")).toJson()).isEqualTo(example("event"));
  }

  @Test
  void noExampleIsLeftOut() {
    assertThat(Stream.of(requests(), answers(), Stream.of("event")).flatMap(s -> s))
        .containsExactlyInAnyOrderElementsOf(EXAMPLES.keySet())
        .hasSizeGreaterThan(18);
  }

  @Test
  void everyVerbOfTheSpecIsKnownAndEveryKnownOneIsInIt() {
    String[] verbs = {
      "hello",
      "start",
      "open",
      "want",
      "next",
      "done",
      "register",
      "lend",
      "sealed",
      "refuse",
      "wait",
      "report",
      "preempt",
      "close",
      "status",
      "metrics",
      "free",
      "events",
      "rate",
      "stop"
    };
    assertThat(
            SpecText.page("wire.md")
                .lines()
                .filter(line -> line.startsWith("**"))
                .map(line -> line.substring(2, line.indexOf("**", 2))))
        .containsExactlyInAnyOrder(verbs);
    assertThat(Request.class.getPermittedSubclasses()).hasSameSizeAs(verbs);
  }
}
