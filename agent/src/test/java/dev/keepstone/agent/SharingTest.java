package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.reshard.Wanted;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.part.Part;
import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Run;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What does not change is stored once: by the trainer's promise, or because the agent saw it.
@Timeout(60)
final class SharingTest {
  private static final String FIRST = "00112233445566ff";
  private static final String SECOND = "aaaabbbbccccdddd";
  private static final long MIB = 1 << 20;

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

  /// Of one component: `lora` changes, what else is named is promised not to.
  private static List<RegisteredPiece> lora(String... frozen) {
    return Stream.concat(
            RawTrainer.floats("model", 10_000, "lora").stream(),
            RawTrainer.frozen(RawTrainer.floats("model", 400_000, frozen)).stream())
        .toList();
  }

  private static void saved(RawTrainer trainer, long step) throws IOException {
    trainer.save(step);
    assertThat(trainer.await("1-" + step)).as("1-%d", step).isInstanceOf(Ended.Committed.class);
  }

  private long written(String id) throws IOException {
    return new EventTail(node.directory.path().resolve("events.jsonl"))
        .events().stream()
            .filter(event -> event.text("event").equals("drained") && event.text("id").equals(id))
            .mapToLong(event -> event.integer("written"))
            .sum();
  }

  private Part part(String text) {
    Run run = Stores.run(store);
    return run.parts(run.manifest(CheckpointId.parse(text))).getFirst();
  }

  /// Which checkpoint's folder holds each shard of a checkpoint.
  private List<String> homes(String id) {
    return part(id).shards().stream()
        .map(shard -> shard.home(CheckpointId.parse(id)).toString())
        .toList();
  }

  @Test
  void whatIsFrozenIsWrittenByTheFirstSaveAndNamedByAllLaterOnes() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 100);
      Answer.Register registered = trainer.register(lora("frozen base", "frozen head"), null);
      assertThat(registered.fileBytes())
          .as("once, and not once per slot")
          .isLessThan(2 * 2 * 400_000 * 4 + 8 * MIB);
      for (long step = 1; step <= 3; step++) {
        saved(trainer, step);
      }
    }
    assertThat(homes("1-1")).containsExactly("1-1", "1-1");
    assertThat(homes("1-2")).containsExactly("1-2", "1-1");
    assertThat(homes("1-3")).containsExactly("1-3", "1-1");
    assertThat(written("1-1")).isGreaterThan(2 * 400_000 * 4);
    assertThat(written("1-3")).isLessThan(10_000 * 4 + 8192);
    assertThat(Stores.run(store).manifest(CheckpointId.parse("1-3")).summary().uses())
        .containsExactly(CheckpointId.parse("1-1"));
    for (long step = 1; step <= 3; step++) {
      Stores.requireWhole(store, "1-" + step);
    }
    assertThat(store.resolve("run/checkpoints/1-1/model.safetensors.index.json")).exists();
    assertThat(store.resolve("run/checkpoints/1-3/model.safetensors.index.json")).doesNotExist();
  }

  @Test
  void theBudgetHasToHoldWhatIsFrozenOnce() throws Exception {
    // Head and layout, two slots, constant area: 2 MiB each.
    node.start(8 * MIB - 1, Duration.ofSeconds(90), Disk.local());
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 100);
      assertThatThrownBy(() -> trainer.register(lora("frozen"), null))
          .isInstanceOf(KeepstoneException.Refused.class)
          .hasMessageContaining("two slots need 8388608 bytes of shared memory");
      trainer.register(RawTrainer.floats("model", 10_000, "lora"), null);
      saved(trainer, 1);
    }
  }

  @Test
  void aNewLayoutOfTheSameFrozenTensorsWritesNoneOfThemAgain() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 100);
      trainer.register(lora("frozen"), null);
      saved(trainer, 1);
      // Adam's moments appear.
      trainer.register(
          Stream.concat(
                  lora("frozen").stream(),
                  RawTrainer.floats("optimizer", 10_000, "moment").stream())
              .toList(),
          null);
      saved(trainer, 2);
    }
    assertThat(homes("1-2")).containsExactly("1-2", "1-1", "1-2");
    Stores.requireWhole(store, "1-2");
  }

  @Test
  void aTrainerThatStartsAgainOnTheSameNodeUsesWhatTheOneBeforeStored() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 100);
      trainer.register(lora("frozen"), null);
      saved(trainer, 1);
    }
    try (RawTrainer trainer = node.trainer(SECOND)) {
      assertThat(trainer.start(store, "t2", 100).parent()).isEqualTo("1-1");
      trainer.register(lora("frozen"), null);
      trainer.save(2);
      assertThat(trainer.await("2-2")).isInstanceOf(Ended.Committed.class);
    }
    assertThat(homes("2-2")).containsExactly("2-2", "1-1");
    Stores.requireWhole(store, "2-2");
  }

  @Test
  void aTrainerThatStartsAgainWhereNoMemoryIsLeftUsesWhatTheStoreHolds() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 100);
      trainer.register(lora("frozen"), null);
      saved(trainer, 1);
      saved(trainer, 2);
    }
    node.close();
    node = new Nodes(4);
    node.start();
    try (RawTrainer trainer = node.trainer(SECOND)) {
      trainer.start(store, "t2", 100);
      trainer.register(lora("frozen"), null);
      trainer.save(3);
      assertThat(trainer.await("2-3")).isInstanceOf(Ended.Committed.class);
      // Another base: nothing of the old one may be taken for it.
      trainer.register(lora("frozen anew"), null);
      trainer.save(4);
      assertThat(trainer.await("2-4")).isInstanceOf(Ended.Committed.class);
    }
    assertThat(homes("2-3")).containsExactly("2-3", "1-1");
    assertThat(homes("2-4")).containsExactly("2-4", "2-4");
    Stores.requireWhole(store, "2-3");
    Stores.requireWhole(store, "2-4");
  }

  @Test
  void whatAStartCameBackBehindIsNotUsed() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 100);
      trainer.register(RawTrainer.floats("model", 1000, "a"), null);
      saved(trainer, 1);
      trainer.register(lora("frozen"), null);
      saved(trainer, 2);
    }
    try (RawTrainer trainer = node.trainer(SECOND)) {
      Json.Obj policy = Json.object().put("keep_last", 100).build();
      trainer.ask(
          new Request.Start(store.toString(), "run", "t2", 0, 1, "1", policy, "here", 1, 60_000));
      trainer.register(lora("frozen"), null);
      trainer.save(3);
      assertThat(trainer.await("2-3")).isInstanceOf(Ended.Committed.class);
    }
    assertThat(homes("2-3")).containsExactly("2-3", "2-3");
  }

  @Test
  void anOwnerThatIsToBeDeletedIsNotUsedAndOneThatIsUsedIsSpared() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 100);
      trainer.register(lora("frozen"), null);
      for (long step = 1; step <= 2; step++) {
        saved(trainer, step);
      }
      Run run = Stores.run(store);
      CheckpointId first = CheckpointId.parse("1-1");
      byte[] tomb =
          new Tomb(
                  run.uid(),
                  first,
                  1,
                  Duration.ofHours(24),
                  new Wish.Named(),
                  "by hand",
                  "00000000",
                  Nodes.CLOCK.instant())
              .encode();
      run.tier().put(run.names().tomb(first, 1), tomb);
      saved(trainer, 3);
      saved(trainer, 4);
    }
    assertThat(homes("1-2")).containsExactly("1-2", "1-1");
    assertThat(homes("1-3")).as("the owner may be gone soon").containsExactly("1-3", "1-3");
    assertThat(homes("1-4")).containsExactly("1-4", "1-3");
  }

  @Test
  void retentionSparesAnOwnerUntilItsLastUserIsGone() throws Exception {
    node.start(256L << 20, Duration.ZERO, Disk.local());
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 1);
      trainer.register(lora("frozen"), null);
      for (long step = 1; step <= 4; step++) {
        saved(trainer, step);
      }
      awaitGone("1-2");
      awaitGone("1-3");
    }
    assertThat(Stores.run(store).look().standing())
        .extracting(CheckpointId::toString)
        .containsExactly("1-1", "1-4");
    Stores.requireWhole(store, "1-4");
  }

  private void awaitGone(String id) throws IOException {
    EventTail tail = new EventTail(node.directory.path().resolve("events.jsonl"));
    while (!tail.ids("purged").contains(id)) {
      Nodes.CLOCK.pause(Duration.ofMillis(10));
    }
  }

  @Test
  void tensorsThatStayTheSameGetAShardOfTheirOwnAndAreThenStoredOnce() throws Exception {
    node.start();
    List<RegisteredPiece> layout =
        Stream.concat(
                RawTrainer.floats("model", 10_000, "moving").stream(),
                RawTrainer.floats("model", 500_000, "still a", "still b").stream())
            .toList();
    long step = 0;
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 100);
      trainer.register(layout, null);
      boolean asked = false;
      while (!asked && step < 10) {
        asked = trainer.save(++step).replan();
        trainer.await("1-" + step);
      }
      assertThat(asked).as("asked for another layout after %d saves", step).isTrue();
      assertThat(homes("1-" + step)).hasSize(1);
      trainer.register(layout, null);
      assertThat(trainer.save(++step).replan()).isFalse();
      trainer.await("1-" + step);
      saved(trainer, ++step);
    }
    assertThat(homes("1-" + step)).containsExactly("1-" + step, "1-" + (step - 1));
    assertThat(written("1-" + step)).isLessThan(10_000 * 4 + MIB);
    for (long one = 1; one <= step; one++) {
      Stores.requireWhole(store, "1-" + one);
    }
  }

  @Test
  void aWholeComponentThatDidNotChangeIsNotWrittenAgainAndOneThatDidIs() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 100);
      trainer.register(
          Stream.concat(
                  RawTrainer.floats("model", 1000, "still").stream(),
                  RawTrainer.floats("optimizer", 1000, "moment").stream())
              .toList(),
          null);
      for (long step = 1; step <= 3; step++) {
        saved(trainer, step);
      }
    }
    assertThat(homes("1-3")).containsExactly("1-1", "1-3");
    Stores.requireWhole(store, "1-3");
  }

  @Test
  void bothAreasAreRestoredFromMemoryAndFromTheStore() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(FIRST)) {
      trainer.start(store, "t1", 100);
      trainer.register(lora("frozen"), null);
      saved(trainer, 1);
      saved(trainer, 2);
      Answer.Open open = trainer.ask(new Request.Open("1-2"));
      Answer.Want want =
          trainer.ask(
              new Request.Want(
                  IntStream.range(0, open.tensors().size()).mapToObj(Wanted::whole).toList()));
      assertThat(want.pieces()).hasSameSizeAs(open.tensors());
      for (Answer.SavedPiece piece : want.pieces()) {
        String name = open.tensors().get(piece.tensor()).tensor().name();
        assertThat(RawTrainer.inMemory(want, piece))
            .isEqualTo(
                RawTrainer.expected(name, piece.byteLength(), 2).toArray(ValueLayout.JAVA_BYTE));
      }
      trainer.ask(new Request.Done());
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void anAgentKilledAnywhereIsFollowedByOneThatKnowsWhatIsStored(long seed) throws Exception {
    Random random = new Random(seed);
    String[] kinds = {"sealed", "draining", "drained", "part", "committed"};
    String kind = kinds[random.nextInt(kinds.length)];
    try (Processes processes = new Processes(node.directory)) {
      Process first = processes.agent("--limit-rate", "32MiB");
      RawTrainer trainer = node.trainer(FIRST);
      trainer.start(store, "t1", 100);
      trainer.register(lora("frozen"), 32 * MIB);
      trainer.save(1);
      if (random.nextBoolean()) {
        trainer.await("1-1");
      }
      trainer.save(2);
      processes.awaitEvents(kind, 1);
      Processes.kill(first);
      processes.agent();
      trainer.greet();
      trainer.ask(new Request.Wait(null, 60_000));
      trainer.save(3);
      assertThat(trainer.await("1-3")).isInstanceOf(Ended.Committed.class);
      trainer.close();
    }
    List<ShardReceipt> shards = new ArrayList<>();
    for (long step = 1; step <= 3; step++) {
      Stores.requireWhole(store, "1-" + step);
      shards.addAll(part("1-" + step).shards());
    }
    assertThat(shards.stream().map(ShardReceipt::from).filter(Objects::nonNull))
        .as("seed %d, killed at %s", seed, kind)
        .hasSize(2)
        .allMatch(from -> Optional.of(from).equals(Optional.of(CheckpointId.parse("1-1"))));
  }
}
