package dev.keepstone.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Granules;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.format.safetensors.SafetensorsEncoder;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.part.PieceReceipt;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Ctrl-C in the middle of a long verb, and a reader of its output that goes away: the command as a
/// process of its own.
class InterruptTest {
  /// Much longer than a copy takes until the signal comes. The source is sparse; the target is
  /// reserved, so it has to fit the disk.
  private static final long SOURCE_BYTES = 4L << 30;

  private static final long VERIFIED_BYTES = 64L << 30;

  private static final long UNDER_WAY_BYTES = 64L << 20;
  private static final int INTERRUPTED = 130;

  @TempDir Path folder;
  private Path source = Path.of("");

  @BeforeEach
  void write() throws IOException {
    source = folder.resolve("large.safetensors");
    zeros(source, new Tensor("w", Dtype.U8, Shape.of(SOURCE_BYTES)));
  }

  /// A sparse file of one tensor of zeros.
  ///
  /// @return its header
  private static byte[] zeros(Path path, Tensor tensor) throws IOException {
    byte[] header = SafetensorsEncoder.header(List.of(tensor), Map.of(), OpenFile.ALIGNMENT);
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.write(header);
      file.setLength(header.length + tensor.byteLength());
    }
    return header;
  }

  @Test
  void anInterruptedImportLeavesNothing() throws Exception {
    Path store = folder.resolve("ckpts");
    Path errors = interrupt("import", source.toString(), store + "/gpt");
    assertThat(Files.readString(errors)).contains("keepstone: interrupted", "keepstone import");
    assertThat(store).as("a folder that was made for the store").doesNotExist();
  }

  @Test
  void anInterruptedExportLeavesNothing() throws Exception {
    Path target = folder.resolve("copy.safetensors");
    Path errors = interrupt("export", source.toString(), target.toString());
    assertThat(Files.readString(errors)).contains("keepstone: interrupted", "keepstone export");
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).containsExactlyInAnyOrder(source, errors);
    }
  }

  @Test
  void anInterruptedVerifyGivesNoVerdict() throws Exception {
    Path store = folder.resolve("ckpts");
    Path small = Tensors.write(folder.resolve("small.safetensors"));
    Ran.keepstone("import", small.toString(), store + "/gpt", "--step", "1");
    Saves saves = new Saves(store, "gpt");
    CheckpointId id = new CheckpointId(saves.start(Wanted.LATEST), 2);
    saves.commit(id, List.of(largeShard(saves, store, id)));
    Path errors = interrupt("verify", store + "/gpt@" + id, "--deep");
    assertThat(Files.readString(errors)).contains("keepstone: interrupted", "keepstone verify");
  }

  private static ShardReceipt largeShard(Saves saves, Path store, CheckpointId id)
      throws IOException {
    Tensor tensor = new Tensor("w", Dtype.U8, Shape.of(VERIFIED_BYTES));
    String file = Names.shard("model", 0, "7c1e02aa");
    Path path = store.resolve(saves.run().names().file(id, file));
    Files.createDirectories(path.getParent());
    byte[] header = zeros(path, tensor);
    int headerCrc = Crc32.of(header, 0, header.length);
    int[] crcs = new int[(int) Granules.count(VERIFIED_BYTES)];
    Arrays.fill(crcs, Crc32.of(new byte[Granules.BYTES], 0, Granules.BYTES));
    int crc = Crc32.combine(headerCrc, Granules.combine(crcs, VERIFIED_BYTES), VERIFIED_BYTES);
    PieceReceipt piece =
        new PieceReceipt(Piece.whole(tensor), header.length, Granules.hex(crcs), null);
    return new ShardReceipt(
        file,
        "model",
        header.length + VERIFIED_BYTES,
        header.length,
        headerCrc,
        crc,
        true,
        List.of(piece));
  }

  @Test
  void aReaderThatGoesAwayIsNoFailureToTalkAbout() throws Exception {
    Path errors = folder.resolve("errors");
    List<String> command = new ArrayList<>(List.of("/bin/sh", "-c", "\"$0\" \"$@\" | head -n 1"));
    command.addAll(command("--help"));
    Process shell =
        new ProcessBuilder(command)
            .redirectOutput(folder.resolve("out").toFile())
            .redirectError(errors.toFile())
            .start();
    assertThat(shell.waitFor()).isZero();
    assertThat(Files.readString(errors)).isEmpty();
    assertThat(Files.readAllLines(folder.resolve("out"))).hasSize(1);
  }

  /// Starts a verb, waits until it has read tensor bytes, and presses Ctrl-C.
  ///
  /// @return what it said to stderr
  private Path interrupt(String... arguments) throws IOException, InterruptedException {
    Path errors = folder.resolve("errors");
    // Where the tests run in the background, Ctrl-C is ignored by all that is started there.
    List<String> command = new ArrayList<>(List.of("env", "--default-signal=INT"));
    command.addAll(command(arguments));
    Process process =
        new ProcessBuilder(command)
            .redirectInput(new File("/dev/null"))
            .redirectOutput(new File("/dev/null"))
            .redirectError(errors.toFile())
            .start();
    try {
      while (read(process) < UNDER_WAY_BYTES) {
        assertThat(process.waitFor(10, TimeUnit.MILLISECONDS))
            .as("%s", Files.readString(errors))
            .isFalse();
      }
      new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start().waitFor();
      assertThat(process.waitFor()).isEqualTo(INTERRUPTED);
    } finally {
      process.destroyForcibly();
    }
    return errors;
  }

  private static List<String> command(String... arguments) {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
    command.addAll(List.of(arguments));
    return command;
  }

  private static long read(Process process) throws IOException {
    return Files.readAllLines(Path.of("/proc/" + process.pid() + "/io")).stream()
        .filter(line -> line.startsWith("rchar: "))
        .mapToLong(line -> Long.parseLong(line.substring("rchar: ".length())))
        .sum();
  }
}
