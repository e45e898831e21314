package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The launcher script where no build is at hand: what it says, and with which code.
class LauncherTest {
  private static final Path SCRIPT = Path.of(System.getProperty("keepstone.root"), "keepstone");

  @TempDir Path folder;

  /// Runs a copy of the script in an empty checkout, with nothing on the PATH but what is given.
  private Ran run(String path, List<String> args) throws IOException, InterruptedException {
    Path copy = folder.resolve("keepstone");
    if (!Files.exists(copy)) {
      Files.copy(SCRIPT, copy);
    }
    ProcessBuilder builder = new ProcessBuilder("/bin/bash", copy.toString());
    builder.command().addAll(args);
    builder.environment().clear();
    builder.environment().put("PATH", path);
    builder.environment().put("KEEPSTONE_JAVA_HOME", System.getProperty("java.home"));
    Path out = folder.resolve("out");
    Path err = folder.resolve("err");
    Process process = builder.redirectOutput(out.toFile()).redirectError(err.toFile()).start();
    int code = process.waitFor();
    return new Ran(
        code,
        Files.readString(out, StandardCharsets.UTF_8),
        Files.readString(err, StandardCharsets.UTF_8));
  }

  @Test
  void withoutMavenItSaysWhatToInstall() throws IOException, InterruptedException {
    Path tools = Files.createDirectory(folder.resolve("tools"));
    for (String tool : List.of("readlink", "find", "mkdir", "flock", "sort", "head", "sed")) {
      Path real = Path.of("/usr/bin", tool);
      assumeTrue(Files.exists(real), "no " + real);
      Files.createSymbolicLink(tools.resolve(tool), real);
    }
    Files.writeString(folder.resolve("pom.xml"), "<project/>");
    Ran ran = run(tools.toString(), List.of("--version"));
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.out()).isEmpty();
    assertThat(ran.err().lines())
        .satisfiesExactly(
            what -> assertThat(what).contains("Maven 3.8.7"),
            on -> assertThat(on).startsWith("  on    "),
            next -> assertThat(next).contains("apt install maven"));
  }
}
