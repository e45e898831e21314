package dev.keepstone.testkit.tidy;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.source.tree.ClassTree;
import com.sun.source.util.TreeScanner;
import dev.keepstone.testkit.tidy.Checkout.JavaFile;
import dev.keepstone.testkit.tidy.Checkout.TextFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class DocumentsTest {
  private static final Pattern FENCE = Pattern.compile("(?ms)^\\s*```.*?^\\s*```");
  private static final Pattern LINK = Pattern.compile("\\[[^\\]]*]\\(([^)\\s]+)\\)");

  /// A word of code that can only be the name of a type: two humps, or one in a nested name.
  private static final Pattern TYPE =
      Pattern.compile("`((?:[A-Z][a-z0-9]+){2,}(?:\\.[A-Z][A-Za-z0-9]+)*)`");

  private static final Pattern STATUS =
      Pattern.compile(
          "(?m)^Status: (accepted|superseded by \\[\\d{4}]\\(\\d{4}-[a-z0-9-]+\\.md\\))$");

  /// Types of other people that documents speak of.
  private static final Set<String> FOREIGN =
      Set.of(
          "FullyShardedDataParallel",
          "DistributedDataParallel",
          "NamedSharding",
          "DataLoader",
          "StatefulDataLoader",
          "OrderedDict",
          "MemorySegment",
          "DirectByteBuffer");

  private final Checkout checkout = Checkout.here();

  @Test
  void everyLinkPointsAtSomethingThatIsThere() {
    List<String> findings = new ArrayList<>();
    for (TextFile document : checkout.documents()) {
      Matcher matcher = LINK.matcher(prose(document));
      while (matcher.find()) {
        String defect = defect(document, matcher.group(1));
        if (defect != null) {
          findings.add(document.at(matcher.start()) + "  " + matcher.group(1) + ": " + defect);
        }
      }
    }
    assertThat(findings).as("links in documents").isEmpty();
  }

  @Test
  void everyTypeThatADocumentNamesExists() {
    Set<String> types = new HashSet<>(FOREIGN);
    for (JavaFile file : checkout.java) {
      new TreeScanner<@Nullable Void, @Nullable Void>() {
        @Override
        public @Nullable Void visitClass(ClassTree type, @Nullable Void none) {
          types.add(type.getSimpleName().toString());
          return super.visitClass(type, none);
        }
      }.scan(file.unit(), null);
    }
    for (TextFile file : checkout.texts) {
      if (file.path().endsWith(".py")) {
        Matcher matcher = Pattern.compile("(?m)^\\s*class (\\w+)").matcher(file.text());
        while (matcher.find()) {
          types.add(matcher.group(1));
        }
      }
    }
    List<String> findings = new ArrayList<>();
    for (TextFile document : checkout.documents()) {
      Matcher matcher = TYPE.matcher(prose(document));
      while (matcher.find()) {
        for (String name : matcher.group(1).split("\\.")) {
          if (!types.contains(name)) {
            findings.add(document.at(matcher.start()) + "  " + name);
          }
        }
      }
    }
    assertThat(findings).as("types that documents name and nobody declares").isEmpty();
  }

  @Test
  void everyDecisionIsNumberedAndHasAStatus() {
    List<String> findings = new ArrayList<>();
    int expected = 1;
    for (TextFile document : checkout.documents()) {
      if (!document.path().startsWith("docs/adr/") || document.path().endsWith("/README.md")) {
        continue;
      }
      String name = document.path().substring("docs/adr/".length());
      if (!name.startsWith(String.format(Locale.ROOT, "%04d-", expected))) {
        findings.add(document.path() + "  should have number " + expected);
      }
      expected++;
      if (!STATUS.matcher(document.text()).find()) {
        findings.add(document.path() + "  needs a line `Status: accepted` or `superseded by`");
      }
      if (!document.text().contains("\n## Rejected\n")) {
        findings.add(document.path() + "  needs a section `Rejected`: what else was considered");
      }
    }
    assertThat(findings).as("decisions in docs/adr").isEmpty();
  }

  private @Nullable String defect(TextFile document, String target) {
    if (target.startsWith("http://") || target.startsWith("https://")) {
      return null;
    }
    int hash = target.indexOf('#');
    String file = hash < 0 ? target : target.substring(0, hash);
    Path folder = checkout.root.resolve(document.path()).resolveSibling("");
    Path path =
        file.isEmpty() ? checkout.root.resolve(document.path()) : folder.resolve(file).normalize();
    if (!Files.exists(path)) {
      return "no such file";
    }
    if (hash < 0) {
      return null;
    }
    String relative = checkout.root.relativize(path).toString();
    String anchor = target.substring(hash + 1);
    return checkout.documents().stream()
            .filter(other -> other.path().equals(relative))
            .anyMatch(other -> anchors(other).contains(anchor))
        ? null
        : "no such heading";
  }

  /// The anchors that headings become.
  private static Set<String> anchors(TextFile document) {
    Set<String> anchors = new HashSet<>();
    for (String line : document.text().split("\n")) {
      if (line.matches("#{1,6} .*")) {
        anchors.add(
            line.replaceFirst("#+ ", "")
                .strip()
                .toLowerCase(Locale.ROOT)
                .replaceAll("[^\\p{L}\\p{N} _-]", "")
                .replace(' ', '-'));
      }
    }
    return anchors;
  }

  /// The document with blocks of code blanked, so that positions stay.
  private static String prose(TextFile document) {
    return FENCE
        .matcher(document.text())
        .replaceAll(match -> match.group().replaceAll("[^\\n]", " "));
  }
}
