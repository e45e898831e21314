package dev.keepstone.segment;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The pages of docs/spec, as tests read them.
public final class SpecText {
  private static final Pattern EXAMPLE =
      Pattern.compile("<!-- example: ([a-z-]+) -->\n```json\n(.*?)```", Pattern.DOTALL);
  private static final Pattern ROW =
      Pattern.compile("\\| (.+?) \\| (\\S+?)(?: \\+ .*?)? \\| (.*?) \\|");

  private SpecText() {}

  public static String page(String name) {
    String root = System.getProperty("keepstone.root", "..");
    try {
      return Files.readString(Path.of(root, "docs/spec", name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// The JSON blocks that follow an example comment, by its name.
  public static Map<String, String> examples(String page) {
    Map<String, String> found = new LinkedHashMap<>();
    Matcher matcher = EXAMPLE.matcher(page(page));
    while (matcher.find()) {
      found.put(matcher.group(1), matcher.group(2));
    }
    return found;
  }

  /// The rows of the table whose first column is headed so: field to offset.
  public static Map<String, Integer> offsets(String page, String heading) {
    Map<String, Integer> found = new LinkedHashMap<>();
    boolean inside = false;
    for (String line : page(page).lines().toList()) {
      if (line.startsWith("| " + heading + " |")) {
        inside = true;
      } else if (!line.startsWith("|")) {
        inside = false;
      } else if (inside && !line.startsWith("| ---")) {
        Matcher row = ROW.matcher(line);
        if (!row.find()) {
          throw new IllegalStateException(line);
        }
        found.put(row.group(1), Integer.parseInt(row.group(2)));
      }
    }
    return found;
  }
}
