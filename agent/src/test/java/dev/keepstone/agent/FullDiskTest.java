package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.verify.Verify;
import dev.keepstone.testkit.FaultyDisk;
import dev.keepstone.testkit.Operation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// A store on a file system that is really full: a small tmpfs, or, where this process may not
/// mount one, a disk that refuses space while the ballast lies on it.
final class FullDiskTest {
  private static final long CAPACITY = 8L << 20;
  private static final List<RegisteredPiece> LARGE = RawTrainer.floats("model", 600_000, "a");
  private static final List<RegisteredPiece> SMALL = RawTrainer.floats("model", 60_000, "a");

  @TempDir Path place;
  private Path store;
  private Path ballast;
  private boolean mounted;
  private Disk disk;
  private Nodes node;

  @BeforeEach
  void begin() throws Exception {
    node = new Nodes(7);
    Path device = Files.createDirectory(place.resolve("device"));
    store = device.resolve("store");
    ballast = device.resolve("ballast");
    mounted = run("mount", "-t", "tmpfs", "-o", "size=" + CAPACITY, "none", device.toString());
    System.out.println(mounted ? "a tmpfs" : "a disk that plays full");
    disk = mounted ? Disk.local() : new FaultyDisk(Disk.local()).failing(this::full, NO_SPACE);
  }

  private static final FaultyDisk.Fault NO_SPACE = FaultyDisk.Fault.NO_SPACE;

  private boolean full(Operation operation) {
    return Files.exists(ballast)
        && (operation.act() == Operation.Act.WRITE || operation.act() == Operation.Act.RESERVE);
  }

  @AfterEach
  void end() throws Exception {
    node.close();
    if (mounted) {
      assertThat(run("umount", place.resolve("device").toString())).isTrue();
    }
  }

  /// @param free bytes that the ballast leaves: not enough for a shard, but for a refusal; none
  @ParameterizedTest
  @ValueSource(longs = {1 << 20, 0})
  void aFullDiskFailsTheSaveAndHarmsNothing(long free) throws Exception {
    node.start(64L << 20, Duration.ofSeconds(90), disk);
    try (RawTrainer trainer = node.trainer("00112233445566ff")) {
      trainer.start(store, "t1", 100);
      trainer.register(LARGE, null);
      trainer.save(1);
      assertThat(trainer.await("1-1")).isInstanceOf(Ended.Committed.class);
      load(free);
      trainer.save(2);
      assertThat(trainer.await("1-2"))
          .isInstanceOfSatisfying(
              Ended.Failed.class,
              failed ->
                  assertThat(failed.error())
                      .isInstanceOf(KeepstoneException.NoSpace.class)
                      .hasMessageContaining(".safetensors"));
      requireNothingOf("1-2");
      requireWhole(1);

      if (free > 0 && mounted) {
        trainer.register(SMALL, null);
        trainer.save(3);
        assertThat(trainer.await("1-3")).isInstanceOf(Ended.Committed.class);
        requireWhole(3);
      }
      Files.delete(ballast);
      trainer.save(4);
      assertThat(trainer.await("1-4")).isInstanceOf(Ended.Committed.class);
    }
    requireWhole(1);
    requireWhole(4);
  }

  /// Fills the disk but for so many bytes.
  private void load(long free) throws IOException {
    byte[] block = new byte[4096];
    long bytes = mounted ? Files.getFileStore(place.resolve("device")).getUsableSpace() - free : 1;
    try (var out = Files.newOutputStream(ballast)) {
      for (long at = 0; at < bytes; at += block.length) {
        out.write(block, 0, (int) Math.min(block.length, bytes - at));
      }
    } catch (IOException e) {
      // The agent writes later facts meanwhile, so that the last blocks may find no place.
      assertThat(free).as(e.toString()).isZero();
    }
  }

  private void requireNothingOf(String id) throws IOException {
    List<String> files = new ArrayList<>();
    Path folder = store.resolve("run/checkpoints/" + id);
    if (Files.exists(folder)) {
      try (Stream<Path> found = Files.list(folder)) {
        found.map(file -> String.valueOf(file.getFileName())).forEach(files::add);
      }
    }
    assertThat(files).isSubsetOf("part-00000.json");
  }

  private void requireWhole(long step) throws IOException {
    Run run = Stores.run(store);
    CheckpointId id = new CheckpointId(1, step);
    assertThat(Verify.deep(run, id, bytes -> {}).problems()).isEmpty();
    Stores.requireWhole(store, id.toString());
  }

  private static boolean run(String... command) throws IOException, InterruptedException {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0;
    } catch (IOException e) {
      // No such program here.
      return false;
    }
  }
}
