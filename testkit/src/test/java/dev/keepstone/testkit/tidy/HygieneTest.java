package dev.keepstone.testkit.tidy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.testkit.tidy.Checkout.TextFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class HygieneTest {
  /// Written in two halves, so that this file passes its own test.
  private static final Pattern REGISTRY_HOST =
      Pattern.compile(
          "repo1?\\.maven\\.(apache\\.)?"
              + "org|pypi\\."
              + "org|python"
              + "hosted\\.org"
              + "|registry\\.npm"
              + "js|download\\.py"
              + "torch|sonatype\\."
              + "(org|com)|jit"
              + "pack\\.io");

  private static final Pattern UNFINISHED =
      Pattern.compile("\\b(TO" + "DO|FIX" + "ME|XX" + "X)\\b");

  private final Checkout checkout = Checkout.here();

  @Test
  void nothingNamesARegistry() {
    assertThat(matches(REGISTRY_HOST))
        .as("hosts of package registries; where packages come from is the machine's configuration")
        .isEmpty();
  }

  @Test
  void nothingNamesAPathOfThisMachine() {
    Set<String> paths = new LinkedHashSet<>();
    paths.add(checkout.root.toString());
    paths.add(Path.of(System.getProperty("user.home")).toString());
    paths.add(System.getProperty("java.home"));
    List<String> findings = new ArrayList<>();
    for (String path : paths) {
      // A home of `/` would be found everywhere; `/home/an` must not be found in `/home/anna`.
      if (path.length() > 2) {
        findings.addAll(matches(Pattern.compile(Pattern.quote(path) + "(?![A-Za-z0-9_-])")));
      }
    }
    assertThat(findings).as("paths of this machine; compute them, or leave them out").isEmpty();
  }

  @Test
  void nothingIsLeftForLater() {
    assertThat(matches(UNFINISHED)).as("do it, or write an issue and say nothing here").isEmpty();
  }

  @Test
  void everyTextFileEndsItsLastLine() {
    List<String> findings = new ArrayList<>();
    for (TextFile file : checkout.texts) {
      // A fixture may be what it is because of its last byte.
      boolean fixture = file.path().startsWith("fixtures/") || file.path().contains("/resources/");
      if (!fixture && !file.text().endsWith("\n")) {
        findings.add(file.path());
      }
    }
    assertThat(findings).as("files without a line feed at their end").isEmpty();
  }

  private List<String> matches(Pattern pattern) {
    List<String> findings = new ArrayList<>();
    for (TextFile file : checkout.texts) {
      Matcher matcher = pattern.matcher(file.text());
      while (matcher.find()) {
        findings.add(file.at(matcher.start()) + "  " + matcher.group());
      }
    }
    return findings;
  }
}
