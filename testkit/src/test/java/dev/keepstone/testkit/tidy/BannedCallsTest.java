package dev.keepstone.testkit.tidy;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.ExpressionTree;
import com.sun.source.tree.MemberReferenceTree;
import com.sun.source.tree.MethodInvocationTree;
import com.sun.source.tree.NewClassTree;
import com.sun.source.util.TreeScanner;
import dev.keepstone.testkit.tidy.Checkout.JavaFile;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class BannedCallsTest {
  /// A call that is not made here.
  ///
  /// @param what the call as it is written, with the number of its arguments: `Instant.now/0`, `new
  ///   Random/0`; a pattern
  /// @param where in which code it is banned
  /// @param instead what to do
  private record Ban(Pattern what, Where where, String instead) {
    Ban(String what, Where where, String instead) {
      this(Pattern.compile(what), where, instead);
    }
  }

  private enum Where {
    /// In what is shipped, but for the files that start a process.
    PRODUCT,
    TESTS,
    EVERYWHERE
  }

  private static final List<Ban> BANS =
      List.of(
          new Ban(
              "System\\.(currentTimeMillis|nanoTime)/0",
              Where.PRODUCT,
              "take an InstantSource, or a LongSupplier of nanoseconds, from the caller"),
          new Ban(
              "(Instant|ZonedDateTime|LocalDateTime|LocalDate|OffsetDateTime)\\.now/0",
              Where.PRODUCT,
              "take an InstantSource from the caller"),
          new Ban("Clock\\.system\\w*/.", Where.PRODUCT, "take the clock from the caller"),
          new Ban(
              "Math\\.random/0|UUID\\.randomUUID/0|ThreadLocalRandom\\.current/0|new"
                  + " SecureRandom/0|RandomGenerator\\.(getDefault|of)/.",
              Where.PRODUCT,
              "take a RandomGenerator from the caller"),
          new Ban(
              "new (Random|SplittableRandom)/0|Math\\.random/0|Collections\\.shuffle/1",
              Where.EVERYWHERE,
              "give a seed, and print it where a test fails"),
          new Ban(
              "System\\.exit/1|Runtime\\.getRuntime\\(\\)\\.(exit|halt)/1",
              Where.PRODUCT,
              "throw; the file that starts the process ends it"),
          new Ban(
              "Thread\\.sleep/.|TimeUnit\\.\\w+\\.sleep/1",
              Where.TESTS,
              "wait for what should happen: a latch, an event, the answer of a request"),
          new Ban(
              "new (FileReader|FileWriter|InputStreamReader|OutputStreamWriter|PrintWriter)/1|"
                  + "new PrintStream/[12]|\\w+\\.getBytes/0|new Scanner/1",
              Where.EVERYWHERE,
              "name the charset: StandardCharsets.UTF_8"));

  /// Where programs that take nothing from elsewhere get the machine's own.
  private static final Set<String> WIRING = Set.of("Host");

  /// Code whose business is measuring.
  private static final Set<String> STOPWATCHES = Set.of("bench");

  private final Checkout checkout = Checkout.here();

  @Test
  void nobodyTakesTimeChanceOrTheProcessFromThinAir() {
    List<String> findings = new ArrayList<>();
    for (JavaFile file : checkout.java) {
      new Calls(file, findings).scan(file.unit(), null);
    }
    assertThat(findings).as("banned calls").isEmpty();
  }

  private final class Calls extends TreeScanner<@Nullable Void, @Nullable Void> {
    private final JavaFile file;
    private final List<String> findings;

    Calls(JavaFile file, List<String> findings) {
      this.file = file;
      this.findings = findings;
    }

    @Override
    public @Nullable Void visitMethodInvocation(MethodInvocationTree call, @Nullable Void none) {
      look(call.getMethodSelect() + "/" + call.getArguments().size(), call);
      return super.visitMethodInvocation(call, none);
    }

    @Override
    public @Nullable Void visitNewClass(NewClassTree call, @Nullable Void none) {
      look("new " + call.getIdentifier() + "/" + call.getArguments().size(), call);
      return super.visitNewClass(call, none);
    }

    @Override
    public @Nullable Void visitMemberReference(MemberReferenceTree call, @Nullable Void none) {
      // How many arguments it will get is not written here: `System::nanoTime` takes none.
      look(call.getQualifierExpression() + "." + call.getName() + "/0", call);
      return super.visitMemberReference(call, none);
    }

    private void look(String written, ExpressionTree call) {
      String name = written.replaceFirst("^java\\.(\\w+\\.)+", "");
      for (Ban ban : BANS) {
        if (ban.what().matcher(name).matches() && holds(ban.where())) {
          findings.add(line(file.unit(), call) + "  " + name + ": " + ban.instead());
        }
      }
    }

    private boolean holds(Where where) {
      return switch (where) {
        case PRODUCT ->
            !file.test()
                && !file.isMain()
                && !WIRING.contains(file.type())
                && !STOPWATCHES.contains(file.module());
        case TESTS -> file.test();
        case EVERYWHERE -> true;
      };
    }

    private String line(CompilationUnitTree unit, ExpressionTree call) {
      long start = checkout.trees.getSourcePositions().getStartPosition(unit, call);
      return file.file().at((int) start);
    }
  }
}
