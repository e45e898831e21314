package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.RunStatus;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Memory is never more than promised; who has to wait is told for whom.
class BudgetTest {
  /// A segment with two slots of it has 14 MiB and the space of its head.
  private static final long FLOATS = (5L << 20) / 4;

  @TempDir Path store;

  private static RawTrainer trainer(Nodes node, String client, Path store) throws Exception {
    RawTrainer trainer = node.trainer(client);
    trainer.start(store, "token-" + client, 3);
    return trainer;
  }

  private static RunStatus awaitHeldUp(RawTrainer asking, String store) throws Exception {
    while (true) {
      for (RunStatus run : asking.ask(new Request.Status()).runs()) {
        if (run.store().equals(store) && !run.heldUp().isEmpty()) {
          return run;
        }
      }
      Thread.onSpinWait();
    }
  }

  @Test
  void aRunThatHasToWaitIsToldWhoHoldsTheMemoryAndGoesOnOnceItIsThere() throws Exception {
    Path other = store.resolve("b");
    try (Nodes node = new Nodes(1);
        ExecutorService threads = Executors.newCachedThreadPool()) {
      node.start(20L << 20, Duration.ofSeconds(90), Disk.local());
      RawTrainer first = trainer(node, "00000000000000aa", store.resolve("a"));
      RawTrainer second = trainer(node, "00000000000000bb", other);
      Answer.Register held = first.register(RawTrainer.floats("model", FLOATS, "a"), null);
      assertThat(held.fileBytes()).isBetween(10L << 20, 20L << 20);
      assertThatExceptionOfType(KeepstoneException.Busy.class)
          .isThrownBy(
              () -> second.register(RawTrainer.floats("model", FLOATS, "b"), null, null, 100))
          .satisfies(e ->
              assertThat(e.what())
                  .contains("held by " + store.resolve("a") + "/run " + held.fileBytes()));
      Future<Answer.Register> waiting =
          threads.submit(() -> second.register(RawTrainer.floats("model", FLOATS, "b"), null));
      RunStatus told = awaitHeldUp(first, other.toString());
      assertThat(told.heldUp().getFirst().why()).isEqualTo("memory");
      first.ask(new Request.Close());
      assertThat(waiting.get().slots()).isEqualTo(2);
      EventTail events = new EventTail(node.directory.events());
      assertThat(events.count("held-up")).isEqualTo(2);
      assertThat(events.count("went-on")).isEqualTo(2);
      Json.Obj event =
          events.events().stream()
              .filter(it -> it.text("event").equals("held-up"))
              .findFirst()
              .orElseThrow();
      assertThat(event.text("by")).startsWith(store.resolve("a") + "/run ");
      assertThat(event.integer("needs")).isEqualTo(held.fileBytes());
      first.close();
      second.close();
    }
  }

  @Test
  void whoComesFirstIsServedFirstUnlessTheOtherStaysWithinItsShare() throws Exception {
    try (Nodes node = new Nodes(2);
        ExecutorService threads = Executors.newCachedThreadPool()) {
      node.start(48L << 20, Duration.ofSeconds(90), Disk.local());
      RawTrainer holder = trainer(node, "00000000000000aa", store.resolve("a"));
      RawTrainer large = trainer(node, "00000000000000bb", store.resolve("b"));
      RawTrainer small = trainer(node, "00000000000000cc", store.resolve("c"));
      RawTrainer greedy = trainer(node, "00000000000000dd", store.resolve("d"));
      holder.register(RawTrainer.floats("model", FLOATS, "a"), null);
      // Needs more than what is left: it waits at the head of the queue.
      Future<Answer.Register> head =
          threads.submit(() -> large.register(RawTrainer.floats("model", 4 * FLOATS, "b"), null));
      awaitHeldUp(holder, store.resolve("b").toString());
      // A third of the budget is its share.
      assertThat(small.register(RawTrainer.floats("model", 1000, "c"), null).slots()).isEqualTo(2);
      // Fits, and is more than its share: it would keep the first one waiting.
      assertThatExceptionOfType(KeepstoneException.Busy.class)
          .isThrownBy(
              () -> greedy.register(RawTrainer.floats("model", FLOATS, "d"), null, null, 200));
      small.ask(new Request.Close());
      holder.ask(new Request.Close());
      assertThat(head.get().slots()).isEqualTo(2);
      for (RawTrainer one : List.of(holder, large, small, greedy)) {
        one.close();
      }
    }
  }

  @Test
  void whatCanNeverFitIsRefusedWithTheSizeThatItNeeds() throws Exception {
    try (Nodes node = new Nodes(3)) {
      node.start(1L << 50, Duration.ofSeconds(90), Disk.local());
      RawTrainer trainer = trainer(node, "00000000000000aa", store);
      // Beyond any machine, but not beyond the budget that somebody gave.
      assertThatExceptionOfType(KeepstoneException.Refused.class)
          .isThrownBy(() -> trainer.register(RawTrainer.floats("model", 1L << 44, "a"), null))
          .satisfies(e -> assertThat(e.what()).contains("two slots need 14073"));
      trainer.close();
    }
  }

  @Test
  void noSegmentIsMadeThatTheMachineOrItsControlGroupHasNoMemoryFor() throws Exception {
    try (Nodes node = new Nodes(4)) {
      node.start(1L << 30, () -> 4L << 20);
      RawTrainer trainer = trainer(node, "00000000000000aa", store);
      assertThat(trainer.ask(new Request.Status()).free()).isLessThanOrEqualTo(4L << 20);
      assertThatExceptionOfType(KeepstoneException.Refused.class)
          .isThrownBy(
              () -> trainer.register(RawTrainer.floats("model", FLOATS, "a"), null, null, 100))
          .satisfies(e -> assertThat(e.what()).contains("control group leave "));
      trainer.close();
    }
  }

  @Test
  void aSlotThatIsWaitedForIsToldWithTheSaveThatHoldsIt() throws Exception {
    try (Nodes node = new Nodes(5);
        ExecutorService threads = Executors.newCachedThreadPool()) {
      node.start();
      RawTrainer trainer = trainer(node, "00000000000000aa", store);
      RawTrainer other = node.trainer("00000000000000bb");
      trainer.register(RawTrainer.floats("model", 1 << 20, "a"), 1L << 20);
      trainer.save(1);
      trainer.save(2);
      Future<?> third =
          threads.submit(() -> {
            trainer.save(3);
            return 0;
          });
      RunStatus held = awaitHeldUp(other, store.toString());
      assertThat(held.heldUp().getFirst().why()).isEqualTo("slots");
      other.ask(new Request.Rate(store.toString(), "run", null, true));
      third.get();
      trainer.await("1-3");
      RunStatus after = other.ask(new Request.Status()).runs().getFirst();
      assertThat(after.heldUp()).isEmpty();
      assertThat(after.gentle()).isTrue();
      Stores.requireWhole(store, "1-3");
      trainer.close();
      other.close();
    }
  }
}
