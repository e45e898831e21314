package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The examples of docs/spec/json.md, and what it means that a document keeps their promise.
final class Examples {
  private static final Pattern EXAMPLE =
      Pattern.compile("(?s)<!-- example: ([a-z -]+) -->\\s*```json\\s*(.*?)```");

  private Examples() {}

  /// By name, in the order of the page.
  static Map<String, Json.Obj> all() {
    Path page = Path.of(System.getProperty("keepstone.root"), "docs/spec/json.md");
    Map<String, Json.Obj> examples = new LinkedHashMap<>();
    try {
      Matcher matcher = EXAMPLE.matcher(Files.readString(page, StandardCharsets.UTF_8));
      while (matcher.find()) {
        byte[] json = matcher.group(2).getBytes(StandardCharsets.UTF_8);
        examples.put(matcher.group(1), JsonReader.readObject(json));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return examples;
  }

  static Json.Obj named(String name) {
    return Objects.requireNonNull(all().get(name), "an example called " + name);
  }

  /// Fails unless a document has every field of the example of this name, of its type.
  static void assertKept(String name, Json.Obj document) {
    Json.Obj example = named(name);
    kept(name, example, document);
    assertThat(document.text("command")).isEqualTo(example.text("command"));
  }

  private static void kept(String place, Json promised, Json found) {
    if (promised instanceof Json.Null || found instanceof Json.Null) {
      return;
    }
    switch (promised) {
      case Json.Obj object -> {
        assertThat(found).as(place).isInstanceOf(Json.Obj.class);
        Json.Obj other = (Json.Obj) found;
        object
            .fields()
            .forEach((field, value) -> {
              String inside = place + "." + field;
              Json there = other.get(field);
              assertThat(there).as(inside).isNotNull();
              kept(inside, value, Objects.requireNonNull(there));
            });
      }
      case Json.Array array -> {
        assertThat(found).as(place).isInstanceOf(Json.Array.class);
        Json.Array other = (Json.Array) found;
        if (!array.values().isEmpty()) {
          other.values().forEach(value -> kept(place + "[]", array.values().getFirst(), value));
        }
      }
      // A real that happens to be whole is still written with a fraction, so the types must agree.
      default -> assertThat(found.getClass()).as(place).isEqualTo(promised.getClass());
    }
  }
}
