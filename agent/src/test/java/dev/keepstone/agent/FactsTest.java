package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.layout.RegisteredPiece;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.View;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What an agent writes down of checkpoints after their commit.
final class FactsTest {
  private static final String CLIENT = "00112233445566ff";
  private static final List<RegisteredPiece> LAYOUT = RawTrainer.floats("model", 1000, "a");

  @TempDir Path store;
  private Nodes node;

  @BeforeEach
  void begin() throws IOException {
    node = new Nodes(1);
  }

  @AfterEach
  void end() throws Exception {
    node.close();
  }

  private View await(Predicate<View> wanted) {
    long begin = System.nanoTime();
    while (true) {
      View view = Stores.run(store).look();
      if (wanted.test(view) || System.nanoTime() - begin > TimeUnit.SECONDS.toNanos(30)) {
        assertThat(wanted.test(view)).as("seen within half a minute").isTrue();
        return view;
      }
      Thread.onSpinWait();
    }
  }

  private static CheckpointId id(String text) {
    return CheckpointId.parse(text);
  }

  private static Json.Obj loss(double value) {
    return Json.object().put("val_loss", value).build();
  }

  @Test
  void timesToDurableAndThePolicyComeIntoTheStoreByThemselves() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      trainer.register(LAYOUT, null);
      trainer.save(5);
      trainer.await("1-5");
      View view = await(seen -> seen.facts().durableMs(id("1-5")).isPresent());
      assertThat(view.facts().policy().orElseThrow().rules())
          .isEqualTo(Json.object().put("keep_last", 3).build());
    }
  }

  @Test
  void aReportIsInTheStoreWhenItIsAnswered() throws Exception {
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.start(store, "t1", 3);
      // So slow that the save is on its way while its metrics are reported.
      trainer.register(LAYOUT, 1000L);
      trainer.save(5);
      assertThat(trainer.ask(new Request.Report("5", loss(2.5))))
          .isEqualTo(new Answer.Report("1-5"));
      trainer.await("1-5");
      assertThat(Stores.run(store).look().metrics(id("1-5")).real("val_loss")).isEqualTo(2.5);

      trainer.ask(new Request.Report("1-5", loss(2.25)));
      trainer.ask(new Request.Report("latest", Json.object().put("acc", 1).build()));
      View view = Stores.run(store).look();
      assertThat(view.metrics(id("1-5")).real("val_loss")).isEqualTo(2.25);
      assertThat(view.metrics(id("1-5")).integer("acc")).isEqualTo(1);

      assertThatThrownBy(() -> trainer.ask(new Request.Report("7", loss(2))))
          .isInstanceOf(KeepstoneException.NotFound.class);
      assertThatThrownBy(
              () -> trainer.ask(new Request.Report("5", Json.object().put("x", "low").build())))
          .isInstanceOf(KeepstoneException.Refused.class)
          .hasMessageContaining("x");
    }
  }

  @Test
  void aLaunchThatWantsTheBestGoesOnFromItWithItsBytesAndTheLineEndsThere() throws Exception {
    Json.Obj policy = Json.object().put("monitor", "val_loss").put("mode", "min").build();
    node.start();
    try (RawTrainer trainer = node.trainer(CLIENT)) {
      trainer.ask(launch("t1", "latest", policy));
      trainer.register(LAYOUT, null);
      for (long step = 1; step <= 3; step++) {
        trainer.save(step);
        trainer.await("1-" + step);
        // The second is the best by what was reported last, whatever was reported before.
        trainer.ask(new Request.Report(Long.toString(step), loss(Math.abs(step - 2.5))));
      }
      trainer.ask(new Request.Report("3", loss(4)));
    }
    try (RawTrainer next = node.trainer("ff11223344556600")) {
      Answer.Start started = next.ask(launch("t2", "best", policy));
      assertThat(started.parent()).isEqualTo("1-2");
      Answer.Want want = next.want("1-2");
      byte[] expected = RawTrainer.expected("a", 4000, 2).toArray(ValueLayout.JAVA_BYTE);
      Answer.SavedPiece piece = want.pieces().getFirst();
      byte[] restored =
          piece.source() == null ? next.stream(want) : RawTrainer.inMemory(want, piece);
      assertThat(restored).isEqualTo(expected);
      assertThat(Stores.run(store).look().latest()).contains(id("1-2"));
    }
  }

  private Request.Start launch(String token, String wanted, Json.Obj policy) {
    return new Request.Start(
        store.toString(), "run", token, 0, 1, wanted, policy, "here", 1, 60_000);
  }
}
