package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import org.junit.jupiter.api.Test;

class JsonSpecTest {
  @Test
  void everyExampleBeginsAsPromised() {
    assertThat(Examples.all()).hasSizeGreaterThan(8);
    Examples.all()
        .forEach((name, example) -> {
          assertThat(example.fields().keySet().stream().limit(3))
              .as(name)
              .containsExactly("v", "command", "ok");
          assertThat(example.integer("v")).isEqualTo(1);
          assertThat(example.has("error")).as(name).isEqualTo(!example.bool("ok"));
        });
  }

  @Test
  void everyVerbHasAnExampleOfItsOwnName() {
    HelpTest.verbs()
        .forEach(verb -> assertThat(Examples.all()).containsKey(String.join(" ", verb)));
    Examples.all()
        .forEach((name, example) -> {
          if (!name.equals("failure")) {
            assertThat(example.text("command")).isEqualTo(name);
          }
        });
  }

  @Test
  void aFailureHasItsCodeAndThreeParts() {
    Json.Obj promised = Examples.named("failure").object("error");
    assertThat(promised.fields().keySet()).containsExactly("code", "what", "on", "next");
    Json.Obj found = Ran.keepstone("show", "/nonexistent/store", "--json").error();
    assertThat(found.fields().keySet()).isEqualTo(promised.fields().keySet());
  }
}
