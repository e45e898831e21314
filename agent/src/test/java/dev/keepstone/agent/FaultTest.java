package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import dev.keepstone.testkit.FaultyDisk;
import dev.keepstone.testkit.Operation;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// A disk that fails a drain: the save fails with the reason, what was committed stays, nothing of
/// the attempt is left, and the next save works.
final class FaultTest {
  private static final List<RegisteredPiece> LAYOUT = RawTrainer.floats("model", 300_000, "a");

  @TempDir Path store;
  private Nodes node;

  @BeforeEach
  void begin() throws IOException {
    node = new Nodes(3);
  }

  @AfterEach
  void end() throws Exception {
    node.close();
  }

  @ParameterizedTest
  @CsvSource({
    "WRITE, NO_SPACE, NO_SPACE",
    "RESERVE, NO_SPACE, NO_SPACE",
    "WRITE, QUOTA, NO_SPACE",
    "CREATE, DENIED, FAILED",
    "CREATE, READ_ONLY, FAILED",
    "WRITE, INPUT_OUTPUT, FAILED",
    "SYNC, INPUT_OUTPUT, FAILED",
    "TRUNCATE, INPUT_OUTPUT, FAILED",
  })
  void aFailedDrainEndsItsAttemptAndNothingElse(
      Operation.Act act, FaultyDisk.Fault fault, Refusal.Why why) throws Exception {
    FaultyDisk disk = new FaultyDisk(Disk.local());
    node.start(256L << 20, Duration.ofSeconds(90), disk);
    try (RawTrainer trainer = node.trainer("00112233445566ff")) {
      trainer.start(store, "t1", 100);
      trainer.register(LAYOUT, null);
      trainer.save(1);
      trainer.await("1-1");
      disk.failing(
          operation ->
              operation.act() == act && operation.path().toString().endsWith(".safetensors"),
          fault);
      trainer.save(2);
      Ended ended = trainer.await("1-2");
      assertThat(ended).isInstanceOf(Ended.Failed.class);
      KeepstoneException error = ((Ended.Failed) ended).error();
      assertThat(error.on()).endsWith(".safetensors");
      disk.heal();
      Run run = Stores.run(store);
      assertThat(run.part(new CheckpointId(1, 2), 0).orElseThrow())
          .isInstanceOfSatisfying(
              Refusal.class, refusal -> assertThat(refusal.why()).isEqualTo(why));
      assertThat(store.resolve("run/checkpoints/1-2"))
          .isDirectoryNotContaining("glob:**.safetensors");
      trainer.save(3);
      assertThat(trainer.await("1-3")).isInstanceOf(Ended.Committed.class);
    }
    Stores.requireWhole(store, "1-1");
    Stores.requireWhole(store, "1-3");
  }

  /// The part stands, the manifest or what goes before it does not: told at once, not after the
  /// patience that waits for other ranks, and the slot serves the next saves.
  @ParameterizedTest
  @CsvSource({
    "LINK, NO_SPACE, manifests",
    "CREATE, NO_SPACE, manifests",
    "CREATE, DENIED, manifests",
    "LINK, READ_ONLY, manifests",
    "CREATE, NO_SPACE, config.json",
  })
  void aManifestThatCannotBePutIsToldAtOnceAndTheNextSaveWorks(
      Operation.Act act, FaultyDisk.Fault fault, String where) throws Exception {
    FaultyDisk disk = new FaultyDisk(Disk.local());
    node.start(256L << 20, Duration.ofSeconds(90), disk);
    try (RawTrainer trainer = node.trainer("00112233445566ff")) {
      trainer.start(store, "t1", 100);
      trainer.register(LAYOUT, null);
      trainer.save(1);
      trainer.await("1-1");
      disk.failing(
          operation -> operation.act() == act && operation.path().toString().contains(where),
          fault);
      for (long step = 2; step <= 4; step++) {
        trainer.save(step);
        Ended ended = trainer.await("1-" + step);
        assertThat(ended)
            .isInstanceOfSatisfying(
                Ended.Unknown.class,
                unknown ->
                    assertThat(unknown.error())
                        .isInstanceOfAny(
                            KeepstoneException.NoSpace.class, KeepstoneException.Denied.class)
                        .hasMessageContaining(where));
      }
      disk.heal();
      trainer.save(5);
      assertThat(trainer.await("1-5")).isInstanceOf(Ended.Committed.class);
    }
    Stores.requireWhole(store, "1-1");
    Stores.requireWhole(store, "1-5");
  }

  @Test
  void theNewestWhoseManifestFoundNoRoomIsCommittedByTheNextStart() throws Exception {
    FaultyDisk disk = new FaultyDisk(Disk.local());
    node.start(256L << 20, Duration.ofSeconds(90), disk);
    try (RawTrainer trainer = node.trainer("00112233445566ff")) {
      trainer.start(store, "t1", 100);
      trainer.register(LAYOUT, null);
      disk.failing(
          operation -> operation.path().toString().contains("manifests"),
          FaultyDisk.Fault.NO_SPACE);
      trainer.save(1);
      assertThat(trainer.await("1-1")).isInstanceOf(Ended.Unknown.class);
      disk.heal();
    }
    try (RawTrainer next = node.trainer("aaaabbbbccccdddd")) {
      assertThat(next.start(store, "t2", 100).parent()).isEqualTo("1-1");
    }
    Stores.requireWhole(store, "1-1");
  }

  /// An exception that no one expects: of a bug, here of a file system that cannot list.
  @Test
  void aBugEndsItsAttemptAndNotTheRun() throws Exception {
    FaultyDisk disk = new FaultyDisk(Disk.local());
    node.start(256L << 20, Duration.ofMillis(100), disk);
    try (RawTrainer trainer = node.trainer("00112233445566ff")) {
      trainer.start(store, "t1", 1);
      trainer.register(LAYOUT, null);
      trainer.save(1);
      trainer.await("1-1");
      disk.failing(
          operation -> operation.act() == Operation.Act.LIST, FaultyDisk.Fault.UNSUPPORTED);
      trainer.save(2);
      assertThat(trainer.await("1-2"))
          .isInstanceOfSatisfying(
              Ended.Unknown.class,
              unknown -> assertThat(unknown.error()).hasMessageContaining("UnsupportedOperation"));
      disk.heal();
      trainer.save(3);
      assertThat(trainer.await("1-3")).isInstanceOf(Ended.Committed.class);
    }
    Stores.requireWhole(store, "1-3");
  }
}
