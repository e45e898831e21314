package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;

class HelpTest {
  /// Every verb, as words: `agent start`.
  static Stream<List<String>> verbs() {
    List<List<String>> found = new ArrayList<>();
    collect(Commands.of(new Keepstone()), List.of(), found);
    return found.stream();
  }

  private static void collect(CommandLine command, List<String> path, List<List<String>> found) {
    if (command.getCommand() instanceof Verb) {
      found.add(path);
    }
    command
        .getSubcommands()
        .forEach((name, below) -> {
          List<String> longer = new ArrayList<>(path);
          longer.add(name);
          collect(below, longer, found);
        });
  }

  private static Ran help(List<String> verb, String... more) {
    List<String> args = new ArrayList<>(verb);
    args.add("--help");
    args.addAll(List.of(more));
    return Ran.keepstone(args.toArray(String[]::new));
  }

  @ParameterizedTest
  @MethodSource("verbs")
  void helpFitsEightyColumnsAndEndsWithTwoExamples(List<String> verb) {
    Ran ran = help(verb);

    assertThat(ran.code()).isZero();
    assertThat(ran.err()).isEmpty();
    List<String> lines = ran.out().stripTrailing().lines().toList();
    assertThat(lines).allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(80));
    assertThat(lines).contains("Exit codes:");
    assertThat(lines.get(lines.size() - 3)).isEqualTo("Examples:");
    String call = "  keepstone " + String.join(" ", verb);
    assertThat(lines.subList(lines.size() - 2, lines.size()))
        .doesNotHaveDuplicates()
        .allSatisfy(line -> assertThat(line).startsWith(call));
  }

  @ParameterizedTest
  @MethodSource("verbs")
  void theExamplesOfHelpAreAcceptedByTheParser(List<String> verb) {
    List<String> lines = help(verb).out().stripTrailing().lines().toList();
    for (String example : lines.subList(lines.size() - 2, lines.size())) {
      String[] words = example.strip().split("\\s+");
      String[] args =
          Stream.of(words).skip(1).takeWhile(w -> !w.equals("|")).toArray(String[]::new);
      List<CommandLine> parsed = Commands.of(new Keepstone()).parseArgs(args).asCommandLineList();
      assertThat((Object) parsed.getLast().getCommand()).isInstanceOf(Verb.class);
    }
  }

  @ParameterizedTest
  @MethodSource("verbs")
  void aWrongOptionIsAUsageErrorInTextAndInJson(List<String> verb) {
    List<String> args = new ArrayList<>(verb);
    args.add("--no-such-option");
    args.add("--json");
    Ran ran = Ran.keepstone(args.toArray(String[]::new));

    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.json().bool("ok")).isFalse();
    assertThat(ran.json().text("command")).isEqualTo(String.join(" ", verb));
    assertThat(ran.error().integer("code")).isEqualTo(2);
    assertThat(ran.error().text("next"))
        .isEqualTo("keepstone " + String.join(" ", verb) + " --help");
    assertThat(ran.err().lines()).hasSize(3);
  }
}
