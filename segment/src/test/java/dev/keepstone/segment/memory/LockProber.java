package dev.keepstone.segment.memory;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;

/// A process that looks at a lock and says who holds it.
public final class LockProber {
  private LockProber() {}

  public static void main(String[] arguments) {
    System.out.println(
        switch (RecordLock.probe(Path.of(arguments[0]))) {
          case RecordLock.Holder.Nobody() -> "Nobody";
          case RecordLock.Holder.Held(long pid) -> "Held " + pid;
        });
  }

  /// What another process sees.
  static String probe(Path lock) throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                LockProber.class.getName(),
                lock.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    return new String(process.getInputStream().readAllBytes(), UTF_8).strip();
  }
}
