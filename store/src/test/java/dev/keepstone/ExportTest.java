package dev.keepstone;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.convert.ConvertPlan;
import dev.keepstone.core.convert.Progress;
import dev.keepstone.core.convert.Selection;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.view.CheckpointView;
import dev.keepstone.store.tier.StoreClock;
import dev.keepstone.testkit.FaultyDisk;
import dev.keepstone.testkit.FaultyDisk.Fault;
import dev.keepstone.testkit.MemoryDisk;
import dev.keepstone.testkit.Operation;
import dev.keepstone.testkit.Operation.Act;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExportTest {
  @TempDir Path home;
  private Disk disk = Disk.local();

  private Path source() {
    return home.resolve("in/weights");
  }

  private Map<String, byte[]> writeSource() throws IOException {
    Map<String, byte[]> content = ForeignFile.write(disk, source(), Map.of("format", "pt"));
    try (OpenFile config = disk.create(home.resolve("in/config.json"))) {
      config.write(0, MemorySegment.ofArray("{}".getBytes(UTF_8)));
      config.sync();
    }
    disk.syncDirectory(home.resolve("in"));
    return content;
  }

  static Host host(Disk disk) {
    StoreClock clock = StoreClock.of(InstantSource.system(), () -> 0, _ -> {});
    return new Host(disk, clock, new Random(1));
  }

  private static List<String> namesIn(Disk disk, Path folder) throws IOException {
    return disk.list(folder).stream().map(Disk.Entry::name).sorted().toList();
  }

  private static Map<String, byte[]> read(Disk disk, Path path) throws IOException {
    try (CheckpointView view = Checkpoints.open(host(disk), path.toString())) {
      return ForeignFile.read(view);
    }
  }

  private void export(Disk on, String target, long maxShardBytes) {
    Export.Options options = new Export.Options(Optional.empty(), Selection.ALL, maxShardBytes);
    Export.run(host(on), source().toString(), home.resolve(target), options, Progress.NONE);
  }

  @ParameterizedTest
  @CsvSource({"out.safetensors,5000000000", "out,5000000000", "out,100"})
  void exportedTensorsAreTheSameBits(String target, long maxShardBytes) throws IOException {
    Map<String, byte[]> content = writeSource();
    export(disk, target, maxShardBytes);
    assertThat(read(disk, home.resolve(target))).containsExactlyInAnyOrderEntriesOf(content);
    assertThat(namesIn(disk, home)).containsExactlyInAnyOrder("in", target);
    if (target.equals("out")) {
      assertThat(namesIn(disk, home.resolve(target))).contains("config.json");
    }
  }

  /// Every act on the disk fails once, in each of these ways.
  @ParameterizedTest
  @CsvSource({
    "NO_SPACE,out.safetensors,5000000000",
    "DENIED,out.safetensors,5000000000",
    "INPUT_OUTPUT,out,100"
  })
  void aFailureAnywhereLeavesNothingUnderTheTargetsName(
      Fault fault, String target, long maxShardBytes) throws IOException {
    Map<String, byte[]> content = writeSource();
    for (int n = 1; ; n++) {
      FaultyDisk faulty = new FaultyDisk(disk).failing(Operation.nth(n), fault);
      try {
        export(faulty, target, maxShardBytes);
      } catch (KeepstoneException e) {
        assertThat(namesIn(disk, home)).as("operation %d", n).containsExactly("in");
        continue;
      }
      assertThat(read(disk, home.resolve(target))).containsExactlyInAnyOrderEntriesOf(content);
      if (faulty.operations().size() < n) {
        assertThat(n).isGreaterThan(15);
        return;
      }
      remove(home.resolve(target));
      removeHidden();
    }
  }

  private void remove(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      for (String name : namesIn(disk, path)) {
        Files.delete(path.resolve(name));
      }
    }
    Files.deleteIfExists(path);
  }

  /// What a failed removal left under its hidden name.
  private void removeHidden() throws IOException {
    for (String name : namesIn(disk, home)) {
      if (name.endsWith(".tmp")) {
        remove(home.resolve(name));
      }
    }
  }

  @Test
  void deathAnywhereLeavesTheWholeFileUnderTheTargetsNameOrNothing() throws IOException {
    for (int n = 1; ; n++) {
      MemoryDisk memory = new MemoryDisk();
      disk = memory;
      Map<String, byte[]> content = writeSource();
      FaultyDisk faulty = new FaultyDisk(memory).failing(Operation.nth(n), Fault.CRASH);
      try {
        export(faulty, "out.safetensors", 1L << 40);
        assertThat(n).isGreaterThan(15);
        return;
      } catch (FaultyDisk.Crashed e) {
        for (Disk left : List.of(memory, memory.afterCrash(new Random(n)), memory.afterCrash())) {
          if (namesIn(left, home).contains("out.safetensors")) {
            assertThat(read(left, home.resolve("out.safetensors")))
                .containsExactlyInAnyOrderEntriesOf(content);
          }
        }
      }
    }
  }

  @Test
  void whereAFolderCannotBeRenamedFilesGetTheirNamesOneByOneTheIndexLast() throws IOException {
    FaultyDisk network =
        new FaultyDisk(disk).failing(op -> op.act() == Act.RENAME, Fault.UNSUPPORTED);
    Map<String, byte[]> content = writeSource();
    export(network, "out", 100);
    assertThat(read(disk, home.resolve("out"))).containsExactlyInAnyOrderEntriesOf(content);
    assertThat(namesIn(disk, home)).containsExactly("in", "out");
    List<String> linked =
        network.operations().stream()
            .filter(op -> op.act() == Act.LINK)
            .map(op -> op.path().getFileName().toString())
            .toList();
    assertThat(linked).hasSizeGreaterThan(3).endsWith("model.safetensors.index.json");
  }

  @Test
  void aComponentThatIsNotThereIsToldWithThoseThatAre() throws IOException {
    writeSource();
    Export.Options options =
        new Export.Options(
            Optional.of("optimizer"), Selection.ALL, ConvertPlan.DEFAULT_MAX_SHARD_BYTES);
    assertThatThrownBy(() ->
            Export.run(host(disk), source().toString(), home.resolve("o"), options, Progress.NONE))
        .isInstanceOf(KeepstoneException.NotFound.class)
        .hasMessageContaining("optimizer");
  }

  @Test
  void whatIsNoCheckpointIsSaid() throws IOException {
    writeSource();
    Path text = home.resolve("in/config.json");
    assertThatThrownBy(() -> Checkpoints.open(host(disk), text.toString()))
        .isInstanceOf(KeepstoneException.Unsupported.class)
        .hasMessageContaining("nothing known");
    assertThatThrownBy(() -> Checkpoints.open(host(disk), home.resolve("nowhere").toString()))
        .isInstanceOf(KeepstoneException.NotFound.class);
  }
}
