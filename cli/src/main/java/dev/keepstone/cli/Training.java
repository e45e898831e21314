package dev.keepstone.cli;

import dev.keepstone.Host;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/// The run from which the JVM learns what the command loads: `./keepstone` calls it once per build
/// and JDK. It does what people do most, in an empty folder.
final class Training {
  private Training() {}

  public static void main(String[] args) throws IOException {
    Path folder = Path.of(args[0]);
    PrintStream nowhere =
        new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8);
    Shell shell =
        new Shell(
            nowhere,
            nowhere,
            false,
            false,
            80,
            Map.of("KEEPSTONE_AGENT_DIR", folder.resolve("agent").toString()),
            Host.local());
    String source = Files.write(folder.resolve("one.safetensors"), oneTensor()).toString();
    String store = folder.resolve("store").toString();
    for (List<String> command :
        List.of(
            List.of("--version"),
            List.of("agent", "start", "--help"),
            List.of("no-such-verb", "--json"),
            List.of("import", source, store + "/run"),
            List.of("ls", store),
            List.of("ls", store, "--json"),
            List.of("show", store),
            List.of("inspect", store),
            List.of("verify", store, "--deep"),
            List.of("export", store, folder.resolve("out.safetensors").toString()))) {
      int code = Main.run(command, shell);
      if (code != 0 && code != ExitCode.USAGE.number) {
        throw new IllegalStateException(command + " ended with " + code);
      }
    }
  }

  /// The smallest file worth importing.
  private static byte[] oneTensor() {
    byte[] header =
        "{\"weight\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}"
            .getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(Long.BYTES + header.length + 4)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(header.length)
        .put(header)
        .array();
  }
}
