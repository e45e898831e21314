package dev.keepstone.testkit.tidy;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.source.tree.LineMap;
import com.sun.source.tree.MethodTree;
import com.sun.source.util.SourcePositions;
import com.sun.source.util.TreeScanner;
import dev.keepstone.testkit.tidy.Checkout.JavaFile;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class SizeTest {
  private static final int FILE_LINES = 600;
  private static final int METHOD_LINES = 80;

  /// What was longer when the rule came, at the length it had. Numbers here only ever go down; an
  /// entry whose subject has become shorter fails until it is lowered or removed.
  private static final Map<String, Integer> RATCHET = Map.of();

  private final Checkout checkout = Checkout.here();

  @Test
  void noFileIsLongerThanAReaderHolds() {
    Map<String, Integer> lengths = new TreeMap<>();
    for (JavaFile file : checkout.java) {
      lengths.put(file.path(), (int) file.file().text().lines().count());
    }
    assertThat(overLong(lengths, FILE_LINES))
        .as("files of more than %d lines; find the second concept and give it a file", FILE_LINES)
        .isEmpty();
  }

  @Test
  void noMethodIsLongerThanAScreen() {
    Map<String, Integer> lengths = new TreeMap<>();
    for (JavaFile file : checkout.java) {
      SourcePositions positions = checkout.trees.getSourcePositions();
      LineMap lines = file.unit().getLineMap();
      new TreeScanner<@Nullable Void, @Nullable Void>() {
        @Override
        public @Nullable Void visitMethod(MethodTree method, @Nullable Void none) {
          long from = lines.getLineNumber(positions.getStartPosition(file.unit(), method));
          long to = lines.getLineNumber(positions.getEndPosition(file.unit(), method));
          lengths.merge(file.path() + "#" + method.getName(), (int) (to - from + 1), Math::max);
          return super.visitMethod(method, none);
        }
      }.scan(file.unit(), null);
    }
    assertThat(lengths).as("methods found").hasSizeGreaterThan(100);
    assertThat(overLong(lengths, METHOD_LINES))
        .as("methods of more than %d lines; give its steps names", METHOD_LINES)
        .isEmpty();
  }

  private static List<String> overLong(Map<String, Integer> lengths, int limit) {
    List<String> findings = new ArrayList<>();
    lengths.forEach((place, length) -> {
      int allowed = RATCHET.getOrDefault(place, limit);
      if (length > allowed) {
        findings.add(place + " has " + length + " lines, allowed " + allowed);
      } else if (RATCHET.containsKey(place) && length < allowed) {
        findings.add(place + " has only " + length + " lines: lower its entry in RATCHET");
      }
    });
    return findings;
  }
}
