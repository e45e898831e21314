package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.json.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DoctorTest {
  @TempDir Path folder;

  private static List<Json.Obj> findings(Ran ran) {
    return ran.json().array("findings").stream().map(Json.Obj.class::cast).toList();
  }

  private static Json.Obj finding(Ran ran, String check) {
    return findings(ran).stream()
        .filter(finding -> finding.text("check").equals(check))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void aNodeAndAStoreAreLookedAtAndNothingIsLeftBehind() throws IOException {
    Ran ran = Ran.keepstone(folder.resolve("agent"), "doctor", folder.toString(), "--json");

    Examples.assertKept("doctor", ran.json());
    assertThat(findings(ran))
        .extracting(finding -> finding.text("check"))
        .contains("shared memory", "memory", "locked memory", "agent's life", "writing", "names");
    assertThat(finding(ran, "names").text("verdict")).isEqualTo("ok");
    // The clock of these tests stands still, that of the disk does not.
    assertThat(finding(ran, "clock of the store").text("verdict")).isEqualTo("warn");
    try (var inside = Files.list(folder)) {
      assertThat(inside).isEmpty();
    }
  }

  @Test
  void whatWillNotFitIsAFailureThatSaysWhatToChange() {
    Ran ran = Ran.keepstone(folder.resolve("agent"), "doctor", "--needs", "900TiB");

    assertThat(ran.code()).isEqualTo(1);
    assertThat(ran.out()).contains("fail  memory").contains("--mem");
    assertThat(ran.out().lines()).allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(80));
    assertThat(ran.err().lines()).hasSize(3);
  }

  @Test
  void aStoreThatIsNotThereIsAFailure() {
    String missing = folder.resolve("missing").toString();
    Ran ran = Ran.keepstone(folder.resolve("agent"), "doctor", missing, "--json");

    assertThat(ran.code()).isEqualTo(1);
    assertThat(finding(ran, "store").text("found")).contains(missing);
  }

  @Test
  void completionAndPagesKnowEveryVerb() {
    String script = Ran.keepstone("completion").out();
    HelpTest.verbs()
        .forEach(verb -> {
          assertThat(script).contains(verb.getLast());
          String page = "share/man/man1/keepstone-" + String.join("-", verb) + ".1";
          assertThat(ManPages.all()).containsKey(page);
          assertThat(ManPages.all().get(page)).contains(".SH NAME", "Exit codes:");
        });
  }
}
