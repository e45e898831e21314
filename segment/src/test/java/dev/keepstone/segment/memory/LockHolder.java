package dev.keepstone.segment.memory;

import java.io.IOException;
import java.nio.file.Path;

/// A process that takes a lock, says so, and holds it until it is killed or its input ends.
public final class LockHolder {
  private LockHolder() {}

  @SuppressWarnings("try")
  public static void main(String[] arguments) throws IOException {
    try (RecordLock lock = RecordLock.tryTake(Path.of(arguments[0])).orElseThrow()) {
      System.out.println("held");
      int _ = System.in.read();
    }
  }

  /// Starts such a process and waits until it holds the lock.
  static Process start(Path lock) throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                LockHolder.class.getName(),
                lock.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    int first = process.getInputStream().read();
    if (first != 'h') {
      throw new IOException("the lock holder said " + first);
    }
    return process;
  }
}
