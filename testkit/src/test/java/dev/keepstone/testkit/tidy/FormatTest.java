package dev.keepstone.testkit.tidy;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.googlejavaformat.java.Formatter;
import com.google.googlejavaformat.java.FormatterException;
import dev.keepstone.testkit.tidy.Checkout.JavaFile;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class FormatTest {
  private final Checkout checkout = Checkout.here();

  @Test
  void everyJavaFileIsAsTheFormatterWritesIt() throws FormatterException, IOException {
    boolean fix = Boolean.getBoolean("tidy.fix");
    Formatter formatter = new Formatter();
    List<String> findings = new ArrayList<>();
    for (JavaFile file : checkout.java) {
      String formatted = formatter.formatSourceAndFixImports(file.file().text());
      if (formatted.equals(file.file().text())) {
        continue;
      }
      if (fix) {
        Files.writeString(checkout.root.resolve(file.path()), formatted);
      } else {
        findings.add(firstDifference(file, formatted));
      }
    }
    assertThat(findings).as("not formatted; run this test again with -Dtidy.fix=true").isEmpty();
  }

  private static String firstDifference(JavaFile file, String formatted) {
    List<String> found = file.file().text().lines().toList();
    List<String> wanted = formatted.lines().toList();
    int line = 0;
    while (line < Math.min(found.size(), wanted.size())
        && found.get(line).equals(wanted.get(line))) {
      line++;
    }
    return file.path()
        + ":"
        + (line + 1)
        + "  wanted: "
        + (line < wanted.size() ? wanted.get(line).strip() : "the end of the file");
  }
}
