package dev.keepstone.client;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Piece;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Slice;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.memory.RecordLock;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.testkit.SettableClock;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ClientTest {
  private static final Json.Obj EMPTY = Json.object().build();
  private static final Duration MINUTE = Duration.ofMinutes(1);

  private final Map<String, FakeAgent.Stored> store = new LinkedHashMap<>();
  private final Arena arena = Arena.ofShared();
  private final AtomicLong nanos = new AtomicLong();
  private final Tensor weight = new Tensor("weight", Dtype.F32, Shape.of(5));
  private final MemorySegment weightBytes = bytes(20, 1);
  private final Tensor moment = new Tensor("weight.exp_avg", Dtype.F32, Shape.of(5));
  private final MemorySegment momentBytes = bytes(20, 2);
  private final Tensor empty = new Tensor("none", Dtype.F64, Shape.of(0));

  private AgentDirectory directory;
  private FakeAgent agent;

  @BeforeEach
  void startAgent() throws IOException {
    directory =
        new AgentDirectory(Files.createTempDirectory(Path.of("/dev/shm"), "ks-client-test-"));
    agent = FakeAgent.start(directory, store);
  }

  @AfterEach
  void stopAgent() throws IOException {
    agent.close();
    arena.close();
    try (Stream<Path> files = Files.walk(directory.path())) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private MemorySegment bytes(int count, int seed) {
    byte[] random = new byte[count];
    new Random(seed).nextBytes(random);
    MemorySegment memory = arena.allocate(count);
    MemorySegment.copy(random, 0, memory, ValueLayout.JAVA_BYTE, 0, count);
    return memory;
  }

  private ClientEnvironment environment(AgentStarter starter) {
    return new ClientEnvironment(
        directory,
        starter,
        new Random(20261124),
        // A clock that counts its readings: a wait ends after that many, not after that long.
        new ClientEnvironment.Clocks(SettableClock.atStart(), () -> nanos.addAndGet(1_000_000)),
        new ClientEnvironment.Patience(MINUTE, MINUTE, Duration.ofMillis(20)));
  }

  private Client connect() {
    return Client.connect(environment(AgentStarter.none()), "test 1");
  }

  private Client started() {
    Client client = connect();
    Answer.Start _ = client.start(Launch.single(Path.of("/store"), "run", "token"));
    return client;
  }

  private Registration registration(Source... sources) {
    Json.Obj state =
        Json.object().put("state", Json.object().put("~", "hole").put("v", 0).build()).build();
    return new Registration(List.of(sources), state, EMPTY, EMPTY, Registration.Space.DEFAULT);
  }

  private Registration model() {
    return registration(
        Source.of("model", weight, weightBytes),
        Source.of("model", empty, MemorySegment.NULL),
        Source.of("optimizer", moment, momentBytes));
  }

  private static Saved save(Client client, long step) {
    return client.save(step, List.of(Json.of(step)), Map.of("loss", 2.5));
  }

  private static RegisteredPiece whole(String component, Tensor tensor) {
    return new RegisteredPiece(component, Piece.whole(tensor));
  }

  @Test
  void whatASaveCapturesIsWhatTheAgentFinds() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      byte[] captured = weightBytes.toArray(ValueLayout.JAVA_BYTE);
      Saved saved = client.save(40, List.of(Json.of(81920)), Map.of("loss", 2.5));
      weightBytes.fill((byte) 0);
      assertThat(saved.id()).isEqualTo("2-40");
      assertThat(saved.generation()).isEqualTo(1);
      assertThat(saved.byteLength()).isEqualTo(2 * (4096 + 20));
      assertThat(saved.replanned()).isFalse();
      assertThat(client.awaitDurable(saved, MINUTE)).isEqualTo(new Ended.Committed("2-40", 61.5));
      FakeAgent.Stored stored = requireNonNull(store.get("2-40"));
      assertThat(stored.state())
          .isEqualTo(
              Json.object()
                  .put("metrics", Json.object().put("loss", 2.5).build())
                  .put("values", Json.array(List.of(Json.of(81920))))
                  .build());
      assertThat(stored.pieces().get(whole("model", weight))).isEqualTo(captured);
      assertThat(stored.pieces().get(whole("optimizer", moment)))
          .isEqualTo(momentBytes.toArray(ValueLayout.JAVA_BYTE));
    }
    assertThat(agent.verbs()).isEqualTo("hello start register sealed wait close");
  }

  @Test
  void whatIsFrozenIsCopiedOnceAndRestoredFromMemoryWithTheRest() {
    try (Client client = started()) {
      Answer.Register _ =
          client.register(
              registration(
                  Source.of("model", weight, weightBytes).asFrozen(),
                  Source.of("optimizer", moment, momentBytes)));
      byte[] registered = weightBytes.toArray(ValueLayout.JAVA_BYTE);
      weightBytes.fill((byte) 0);
      Saved saved = save(client, 40);
      assertThat(saved.byteLength()).isEqualTo(4096 + 20);
      assertThat(client.awaitDurable(saved, MINUTE)).isNotNull();
      assertThat(requireNonNull(store.get("2-40")).pieces().get(whole("model", weight)))
          .isEqualTo(registered);
      try (Restore restore = client.open("2-40")) {
        MemorySegment found = MemorySegment.ofArray(new byte[registered.length]);
        restore.into(wanted ->
            wanted.component().equals("model")
                ? List.of(Restore.Target.whole(wanted.tensor(), found))
                : List.of());
        assertThat(restore.fromMemory()).isTrue();
        assertThat(found.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(registered);
      }
    }
  }

  @Test
  void aLayoutThatTheAgentAsksForComesWithTheNextSaveAndOnceEach() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      agent.askToReplan(true);
      assertThat(client.awaitDurable(save(client, 1), MINUTE)).isNotNull();
      agent.askToReplan(false);
      Saved second = save(client, 2);
      assertThat(second.replanned()).isTrue();
      assertThat(client.awaitDurable(second, MINUTE)).isNotNull();
      assertThat(save(client, 3).replanned()).isFalse();
    }
  }

  @Test
  void theStallEndsWithTheSealAndStandsInIt() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      Saved saved = save(client, 1);
      assertThat(saved.stallNanos()).isPositive();
      assertThat(agent.mapped().seal(0).orElseThrow().stallNanos()).isEqualTo(saved.stallNanos());
      assertThat(agent.mapped().seal(0).orElseThrow().sealedAt())
          .isEqualTo(SettableClock.atStart().instant().getEpochSecond() * 1_000_000_000L);
    }
  }

  @Test
  void aSlotLentAheadNeedsNoQuestion() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      for (int step = 1; step <= 5; step++) {
        Saved saved = save(client, step);
        // Makes sure that the agent has lent the next one.
        assertThat(client.awaitDurable(saved, MINUTE).id()).isEqualTo("2-" + step);
      }
    }
    assertThat(agent.verbs()).doesNotContain("lend");
    assertThat(store).containsOnlyKeys("2-1", "2-2", "2-3", "2-4", "2-5");
  }

  @Test
  void aSlotThatWasSealedIsNotWrittenAgainThoughTheRecordStillLendsIt() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      agent.lendLate();
      Saved first = save(client, 1);
      Saved second = save(client, 2);
      assertThat(first.generation()).isEqualTo(1);
      assertThat(second.generation()).isEqualTo(2);
      assertThat(agent.mapped().seal(0).orElseThrow().step()).isEqualTo(1);
      assertThat(agent.mapped().seal(1).orElseThrow().step()).isEqualTo(2);
    }
    assertThat(agent.verbs()).isEqualTo("hello start register sealed lend sealed wait close");
  }

  @Test
  void aStreamThatEndsEarlyIsNoRestore() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      assertThat(client.awaitDurable(save(client, 40), MINUTE)).isNotNull();
      Answer.Register _ = client.register(model());
      agent.endEarly();
      try (Restore restore = client.open("2-40")) {
        assertThatThrownBy(() -> restore.read((_, _, _) -> {}))
            .isInstanceOf(KeepstoneException.Integrity.class)
            .hasMessageContaining("expected 40 bytes")
            .hasMessageContaining("found 16");
      }
    }
  }

  @Test
  void aSaveThatFindsNoSlotInTimeIsBusyAndSavesNothing() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      agent.pause();
      Saved _ = save(client, 1);
      Saved second = save(client, 2);
      assertThatThrownBy(() -> save(client, 3)).isInstanceOf(KeepstoneException.Busy.class);
      client.refuse(3, "skipped", "two saves still draining");
      agent.resume();
      assertThat(client.awaitDurable(second, MINUTE).id()).isEqualTo("2-2");
      Saved _ = save(client, 4);
    }
    assertThat(store).containsOnlyKeys("2-1", "2-2", "2-4");
    assertThat(agent.heard).contains(new Request.Refuse(3, "skipped", "two saves still draining"));
  }

  @Test
  void aWaitEndsWithTimeAndNotBefore() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      agent.pause();
      Saved saved = save(client, 1);
      assertThatThrownBy(() -> client.awaitDurable(saved, Duration.ofMillis(10)))
          .isInstanceOf(KeepstoneException.Busy.class);
      agent.resume();
      assertThat(client.awaitDurable(saved, Duration.ZERO).id()).isEqualTo("2-1");
    }
  }

  @Test
  void howASaveEndedIsToldByKind() {
    Client client = started();
    Answer.Register _ = client.register(model());
    agent.pause();
    Saved saved = save(client, 1);
    KeepstoneException full = new KeepstoneException.NoSpace("disk full", "/store", "free some");
    agent.end(new Ended.Failed("2-1", full));
    assertThatThrownBy(() -> client.awaitDurable(saved, MINUTE))
        .isInstanceOf(KeepstoneException.NoSpace.class)
        .hasMessage(full.getMessage());
    // The last save is lost, and whoever leaves must hear of it.
    assertThatThrownBy(client::close).isInstanceOf(KeepstoneException.NoSpace.class);
    assertThat(agent.holder()).isEqualTo(new RecordLock.Holder.Nobody());
  }

  @Test
  void fencedAndUnknownAreNotTakenForFailures() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      Saved first = save(client, 1);
      assertThat(client.awaitDurable(first, MINUTE)).isNotNull();
      agent.pause();
      Saved second = save(client, 2);
      agent.end(new Ended.Fenced("2-2"));
      assertThatThrownBy(() -> client.awaitDurable(second, MINUTE))
          .isInstanceOf(KeepstoneException.Fenced.class);
      agent.resume();
      agent.end(new Ended.Unknown("2-3", null));
      agent.pause();
      Saved third = save(client, 3);
      assertThatThrownBy(() -> client.awaitDurable(third, MINUTE))
          .isInstanceOf(KeepstoneException.OutcomeUnknown.class);
      agent.resume();
      Saved _ = save(client, 4);
    }
  }

  @Test
  void anErrorToASealThatNobodyWaitedForIsTheEndOfThatSave() {
    Client client = started();
    Answer.Register _ = client.register(model());
    agent.failures.put("sealed", new KeepstoneException.Refused("saved before", "2-1", "go on"));
    Saved saved = save(client, 1);
    assertThatThrownBy(() -> client.awaitDurable(saved, MINUTE))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining("saved before");
    assertThatThrownBy(client::close).hasMessageContaining("saved before");
  }

  @Test
  void stateThatOutgrowsItsAreaMakesANewSegment() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      Saved small = save(client, 1);
      assertThat(small.replanned()).isFalse();
      String large = "x".repeat(100_000);
      Saved saved = client.save(2, List.of(Json.of(large)), Map.of());
      assertThat(saved.replanned()).isTrue();
      assertThat(client.awaitDurable(saved, MINUTE)).isNotNull();
      assertThat(requireNonNull(store.get("2-2")).state().array("values"))
          .containsExactly(Json.of(large));
      assertThat(agent.mapped().head().stateCapacity()).isGreaterThan(200_000);
    }
  }

  @Test
  void aSecondRegistrationAddsWhatWasNotThereBefore() {
    try (Client client = started()) {
      Answer.Register first =
          client.register(registration(Source.of("model", weight, weightBytes)));
      Saved _ = save(client, 1);
      Answer.Register second = client.register(model());
      Saved saved = save(client, 2);
      assertThat(client.awaitDurable(saved, MINUTE)).isNotNull();
      assertThat(first.layout()).isEqualTo(1);
      assertThat(second.layout()).isEqualTo(2);
      assertThat(saved.generation()).isEqualTo(1);
    }
    assertThat(requireNonNull(store.get("2-1")).pieces()).hasSize(1);
    assertThat(requireNonNull(store.get("2-2")).pieces()).hasSize(3);
  }

  @Test
  void aSourceThatChangedItsSizeIsRefusedByName() {
    try (Client client = started()) {
      AtomicInteger size = new AtomicInteger(20);
      Source moving =
          new Source("model", Piece.whole(weight), () -> weightBytes.asSlice(0, size.get()));
      Answer.Register _ = client.register(registration(moving));
      size.set(16);
      assertThatThrownBy(() -> save(client, 1))
          .isInstanceOf(KeepstoneException.Refused.class)
          .hasMessageContaining("model/weight")
          .hasMessageContaining("expected 20 bytes")
          .hasMessageContaining("found 16");
    }
    assertThat(store).isEmpty();
  }

  @Test
  void metricsThatJsonLacksKeepTheirValue() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      Saved saved = client.save(1, List.of(), Map.of("loss", Double.NaN));
      assertThat(client.awaitDurable(saved, MINUTE)).isNotNull();
    }
    assertThat(requireNonNull(store.get("2-1")).state().object("metrics").object("loss"))
        .isEqualTo(Json.object().put("~", "float").put("v", "nan").build());
  }

  @Test
  void aSaveBeforeARegistrationIsRefused() {
    try (Client client = connect()) {
      assertThatThrownBy(() -> save(client, 1))
          .isInstanceOf(KeepstoneException.Refused.class)
          .hasMessageContaining("register");
    }
  }

  private void assertRestores(Restore restore) {
    MemorySegment into = arena.allocate(20);
    List<Answer.OpenedTensor> asked = new ArrayList<>();
    restore.into(saved -> {
      asked.add(saved);
      return saved.equals(new Answer.OpenedTensor("optimizer", moment))
          ? List.of(Restore.Target.whole(moment, into))
          : List.of();
    });
    assertThat(into.mismatch(momentBytes)).isEqualTo(-1);
    assertThat(asked)
        .contains(
            new Answer.OpenedTensor("model", weight),
            new Answer.OpenedTensor("model", empty),
            new Answer.OpenedTensor("optimizer", moment));
    assertThat(restore.step()).isEqualTo(40);
    assertThat(restore.metrics().real("loss")).isEqualTo(2.5);
  }

  @Test
  void aTargetOfAnotherSizeIsRefusedByName() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      assertThat(client.awaitDurable(save(client, 40), MINUTE)).isNotNull();
      try (Restore restore = client.open("2-40")) {
        assertThatThrownBy(() ->
                restore.into(
                    saved -> List.of(Restore.Target.whole(saved.tensor(), arena.allocate(19)))))
            .isInstanceOf(KeepstoneException.Refused.class)
            .hasMessageContaining("model/weight")
            .hasMessageContaining("found 19");
      }
    }
  }

  @Test
  void aRestoreFromMemoryAndOneFromTheStoreGiveTheSame() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      Saved saved = save(client, 40);
      assertThat(client.awaitDurable(saved, MINUTE)).isNotNull();
      try (Restore memory = client.open("2-40")) {
        assertRestores(memory);
        assertThat(memory.fromMemory()).isTrue();
      }
      Answer.Register _ = client.register(model());
      try (Restore windows = client.open("2-40")) {
        assertRestores(windows);
        assertThat(windows.fromMemory()).isFalse();
      }
    }
  }

  @Test
  void aMissingCheckpointIsNotFound() {
    try (Client client = started()) {
      assertThatThrownBy(() -> client.open("1-1")).isInstanceOf(KeepstoneException.NotFound.class);
    }
  }

  @Test
  void damageFoundWhileRestoringIsToldByTheReader() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      assertThat(client.awaitDurable(save(client, 40), MINUTE)).isNotNull();
      Answer.Register _ = client.register(model());
      try (Restore restore = client.open("2-40")) {
        agent.failures.put(
            "next", new KeepstoneException.Integrity("crc", "model.safetensors", "use 2-20"));
        assertThatThrownBy(() -> restore.read((_, _, _) -> {}))
            .isInstanceOf(KeepstoneException.Integrity.class);
      }
    }
  }

  @Test
  void whoCouldNotBeWaitedForBeginsItsRestoreAgain() {
    try (Client client = started()) {
      Answer.Register _ = client.register(model());
      assertThat(client.awaitDurable(save(client, 40), MINUTE)).isNotNull();
    }
    try (Client client = started()) {
      // Nothing of it is in memory any more.
      Answer.Register _ = client.register(model());
      agent.failures.put("next", new KeepstoneException.Busy("cut off", "2-40", "again"));
      List<String> tried = new ArrayList<>();
      assertThat(
              client.resume(restore -> {
                tried.add(restore.id());
                restore.read((_, _, _) -> {});
              }))
          .isTrue();
      assertThat(tried).containsExactly("2-40", "2-40");
    }
  }

  @Test
  void piecesOfATensorAreSavedApart() {
    Tensor global = new Tensor("w", Dtype.F32, Shape.of(4, 2));
    Piece low = new Piece(global, new Slice(List.of(0L, 0L), Shape.of(1, 2)));
    Piece high = new Piece(global, new Slice(List.of(3L, 0L), Shape.of(1, 2)));
    try (Client client = started()) {
      Answer.Register _ =
          client.register(
              registration(
                  new Source("model", high, () -> weightBytes.asSlice(0, 8)),
                  new Source("model", low, () -> momentBytes.asSlice(8, 8))));
      assertThat(client.awaitDurable(save(client, 1), MINUTE)).isNotNull();
    }
    assertThat(requireNonNull(store.get("2-1")).pieces().get(new RegisteredPiece("model", low)))
        .isEqualTo(momentBytes.asSlice(8, 8).toArray(ValueLayout.JAVA_BYTE));
  }

  @Test
  void withoutAnAgentTheStarterIsAskedOnce() throws IOException {
    agent.close();
    Files.deleteIfExists(directory.socket());
    assertThatThrownBy(() -> Client.connect(environment(AgentStarter.none()), "test 1"))
        .isInstanceOf(KeepstoneException.AgentUnavailable.class)
        .hasMessageContaining("keepstone agent start");
    AtomicInteger asked = new AtomicInteger();
    AgentStarter starter =
        place -> {
          asked.incrementAndGet();
          agent = FakeAgent.start(place, store);
        };
    try (Client client = Client.connect(environment(starter), "test 1")) {
      assertThat(client.agent().version()).isEqualTo("fake 1");
    }
    assertThat(asked).hasValue(1);
  }

  @Test
  void aNewAgentLearnsFromTheGreetingWhatTheOldOneDidNotDrain() {
    AgentStarter starter = place -> agent = FakeAgent.start(place, store);
    try (Client client = Client.connect(environment(starter), "test 1")) {
      Answer.Start _ = client.start(Launch.single(Path.of("/store"), "run", "token"));
      Answer.Register _ = client.register(model());
      agent.pause();
      Saved saved = save(client, 1);
      assertThatThrownBy(() -> client.awaitDurable(saved, Duration.ZERO))
          .isInstanceOf(KeepstoneException.Busy.class);
      agent.close();
      assertThat(client.awaitDurable(saved, MINUTE).id()).isEqualTo("2-1");
      Saved next = save(client, 2);
      assertThat(client.awaitDurable(next, MINUTE).id()).isEqualTo("2-2");
    }
    assertThat(store).containsOnlyKeys("2-1", "2-2");
    assertThat(agent.verbs()).startsWith("hello start");
  }

  @Test
  void aSaveWhoseAgentIsGoneStandsAllTheSame() throws IOException {
    Client client = started();
    Answer.Register _ = client.register(model());
    agent.close();
    Files.delete(directory.socket());
    Saved saved = save(client, 1);
    assertThat(saved.id()).isEqualTo("2-1");
    assertThatThrownBy(() -> client.awaitDurable(saved, MINUTE))
        .isInstanceOf(KeepstoneException.AgentUnavailable.class);
    agent = FakeAgent.start(directory, store);
    assertThat(client.awaitDurable(saved, MINUTE).id()).isEqualTo("2-1");
    client.close();
    assertThat(store).containsOnlyKeys("2-1");
  }

  @Test
  void theAgentSeesTheClientLiveAndLeave() {
    Client client = connect();
    assertThat(agent.holder()).isEqualTo(new RecordLock.Holder.Held(ProcessHandle.current().pid()));
    client.close();
    client.close();
    assertThat(agent.holder()).isEqualTo(new RecordLock.Holder.Nobody());
  }

  @Test
  void aClientThatIsKilledAfterTheSealIsSeenDeadAndItsGenerationStands() throws Exception {
    Process trainer = KilledTrainer.start(directory.path());
    try {
      assertThat(agent.holder()).isEqualTo(new RecordLock.Holder.Held(trainer.pid()));
    } finally {
      trainer.destroyForcibly().waitFor();
    }
    assertThat(agent.holder()).isEqualTo(new RecordLock.Holder.Nobody());
    assertThat(agent.mapped().seal(0).orElseThrow().step()).isEqualTo(7);
    assertThat(
            agent.mapped().shardImage(0, 0).asSlice(4096, 20).mismatch(KilledTrainer.state(arena)))
        .isEqualTo(-1);
  }
}
