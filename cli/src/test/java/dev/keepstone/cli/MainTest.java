package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MainTest {
  @Test
  void theVersionIsOneLineOrOneDocument() {
    assertThat(Ran.keepstone("--version").out()).matches("keepstone \\S+ · JDK 25\\S*\\R");
    assertThat(Ran.keepstone("--version", "--json").json().text("jdk")).startsWith("25");
  }

  @Test
  void withoutAVerbItShowsItsHelp() {
    Ran ran = Ran.keepstone();
    assertThat(ran.code()).isZero();
    assertThat(ran.out()).contains("Usage: keepstone").contains("Verbs:");
  }

  @Test
  void anUnknownVerbIsAUsageErrorOfThreeLines() {
    Ran ran = Ran.keepstone("lss", "--json");
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.error().text("what")).contains("lss");
    assertThat(ran.err().lines())
        .satisfiesExactly(
            what -> assertThat(what).startsWith("keepstone: "),
            on -> assertThat(on).startsWith("  on    "),
            next -> assertThat(next).isEqualTo("  next  keepstone --help"));
  }

  @Test
  void aGroupWithoutAVerbIsAUsageErrorWithoutAStackTrace() {
    Ran ran = Ran.keepstone("agent", "--json");
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.json().text("command")).isEqualTo("agent");
    assertThat(ran.err()).doesNotContain("\tat ");
  }

  @Test
  void debugAddsTheStackTraceToAFailureAndLeavesTheDocumentAlone(@TempDir Path agent) {
    Ran plain = Ran.keepstone(agent, "agent", "status", "--json");
    Ran debug = Ran.keepstone(agent, "agent", "status", "--json", "--debug");
    assertThat(debug.code()).isEqualTo(plain.code()).isEqualTo(12);
    assertThat(debug.out()).isEqualTo(plain.out());
    assertThat(plain.err()).doesNotContain("\tat ");
    assertThat(debug.err()).contains("\tat dev.keepstone.cli.");
  }

  @Test
  void theTableOfExitCodesIsTheOneOfTheSpecification() throws IOException {
    Path page = Path.of(System.getProperty("keepstone.root"), "docs/spec/exit-codes.md");
    Matcher rows =
        Pattern.compile("(?m)^\\| (\\d+) \\| (.*) \\|$")
            .matcher(Files.readString(page, StandardCharsets.UTF_8));
    List<String> specified = new ArrayList<>();
    while (rows.find()) {
      specified.add(rows.group(1) + " " + rows.group(2));
    }
    List<String> found = new ArrayList<>();
    for (ExitCode code : ExitCode.values()) {
      found.add(code.number + " " + code.meaning);
    }
    assertThat(found).isEqualTo(specified);
  }
}
