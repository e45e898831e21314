package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Ended;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.store.due.DueSteps;
import dev.keepstone.store.object.Due;
import dev.keepstone.store.run.Run;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A signal to one rank, or somebody's wish: all ranks save the same step, on whichever nodes.
class PreemptionTest {
  private static final int STEP_MILLIS = 20;

  @TempDir Path store;

  /// A rank that takes its steps and does what docs/spec/wire.md "preempt" asks of it, and nothing
  /// else: no rule of its own ever saves.
  private static final class Rank {
    private final RawTrainer trainer;
    private final long signalAt;
    private final CountDownLatch never = new CountDownLatch(1);
    private long seen;
    private @Nullable Long saved;
    private Answer.@Nullable Preempt told;

    Rank(RawTrainer trainer, long signalAt) {
      this.trainer = trainer;
      this.signalAt = signalAt;
    }

    /// @return the step that it saved, or null where it came to the end without
    @Nullable Long train(long last) throws IOException, InterruptedException {
      for (long step = 1; step <= last && saved == null; step++) {
        // Nothing counts down: a step takes its time.
        boolean _ = never.await(STEP_MILLIS, TimeUnit.MILLISECONDS);
        step(step);
      }
      return saved;
    }

    private void step(long step) throws IOException {
      trainer.segment().progress(step);
      if (step == signalAt) {
        told = trainer.ask(new Request.Preempt(step, 30_000L, null));
      }
      long due = trainer.segment().agentRecord().orElseThrow().due();
      while (due != 0 && due != seen && step > due) {
        seen = due;
        due = trainer.ask(new Request.Preempt(step, null, due)).due();
      }
      if (due == step) {
        seen = due;
        trainer.save(step);
        saved = step;
      }
    }
  }

  private Rank rank(Nodes node, int rank, int world, long signalAt) throws IOException {
    RawTrainer trainer = node.trainer("00000000000000" + String.format("%02x", rank));
    trainer.start(store, "token", rank, world);
    trainer.register(RawTrainer.floats("model", 1000, "w" + rank), null);
    return new Rank(trainer, signalAt);
  }

  private static List<@Nullable Long> train(List<Rank> ranks, long last) throws Exception {
    try (ExecutorService threads = Executors.newCachedThreadPool()) {
      List<Future<@Nullable Long>> steps = new ArrayList<>();
      for (Rank rank : ranks) {
        steps.add(threads.submit(() -> rank.train(last)));
      }
      List<@Nullable Long> saved = new ArrayList<>();
      for (Future<@Nullable Long> step : steps) {
        saved.add(step.get());
      }
      return saved;
    }
  }

  @Test
  void aSignalToOneRankMakesAllRanksOnTwoNodesSaveTheSameStepAndTheAgentsFinishWithoutThem()
      throws Exception {
    try (Nodes one = new Nodes(1);
        Nodes two = new Nodes(2)) {
      one.start();
      two.start();
      List<Rank> ranks =
          List.of(rank(one, 0, 4, 0), rank(one, 1, 4, 0), rank(two, 2, 4, 30), rank(two, 3, 4, 0));
      List<@Nullable Long> saved = train(ranks, 2000);
      assertThat(new TreeSet<>(saved)).hasSize(1);
      long step = saved.getFirst();
      assertThat(step).isGreaterThan(30);
      Answer.Preempt told = ranks.get(2).told;
      assertThat(told).isNotNull();
      assertThat(told.due()).isPositive().isLessThanOrEqualTo(step);
      assertThat(told.graceMs()).isEqualTo(30_000);
      for (Rank rank : ranks) {
        rank.trainer.die();
      }
      String id = "1-" + step;
      awaitCommitted(store, id);
      Run run = Stores.run(store);
      Due due = new DueSteps(run, 1, Nodes.CLOCK).newest(0).orElseThrow();
      assertThat(due.why()).isEqualTo("preemption");
      assertThat(due.step()).isEqualTo(step);
      Stores.requireWhole(store, id);
      for (Rank rank : ranks) {
        rank.trainer.close();
      }
    }
  }

  private static void awaitCommitted(Path store, String id) throws InterruptedException {
    CountDownLatch never = new CountDownLatch(1);
    for (int look = 0; look < 600; look++) {
      if (Stores.run(store).look().visible().stream().anyMatch(it -> it.toString().equals(id))) {
        return;
      }
      boolean _ = never.await(50, TimeUnit.MILLISECONDS);
    }
    throw new AssertionError(id + " was not committed");
  }

  @Test
  void aRankThatIsPastTheStepRefusesItForAllAndALaterOneIsSaved() throws Exception {
    try (Nodes one = new Nodes(3)) {
      one.start();
      Rank slow = rank(one, 0, 2, 0);
      Rank fast = rank(one, 1, 2, 0);
      DueSteps steps = new DueSteps(Stores.run(store), 1, Nodes.CLOCK);
      // An agent that knows little proposes what one rank has passed.
      slow.step(5);
      fast.step(9);
      assertThat(steps.propose(1, 7, 1, "preemption", "00000009").step()).isEqualTo(7);
      List<Rank> ranks = List.of(slow, fast);
      ExecutorService threads = Executors.newCachedThreadPool();
      try (threads) {
        Future<@Nullable Long> a = threads.submit(() -> from(slow, 6));
        Future<@Nullable Long> b = threads.submit(() -> from(fast, 10));
        assertThat(a.get()).isNotNull().isGreaterThan(7).isEqualTo(b.get());
        Ended ended = slow.trainer.await("1-" + a.get());
        assertThat(ended).isInstanceOf(Ended.Committed.class);
      }
      assertThat(steps.newest(0).orElseThrow().attempt()).isGreaterThan(1);
      assertThat(Stores.run(store).look().visible()).hasSize(1);
      for (Rank rank : ranks) {
        rank.trainer.close();
      }
    }
  }

  private static @Nullable Long from(Rank rank, long first)
      throws IOException, InterruptedException {
    for (long step = first; step < 2000 && rank.saved == null; step++) {
      boolean _ = rank.never.await(STEP_MILLIS, TimeUnit.MILLISECONDS);
      rank.step(step);
    }
    return rank.saved;
  }

  @Test
  void theOnlyRankSavesTheStepThatItHasJustDone() throws Exception {
    try (Nodes node = new Nodes(4)) {
      node.start();
      Rank rank = rank(node, 0, 1, 12);
      assertThat(rank.train(20)).isEqualTo(12);
      assertThat(rank.trainer.await("1-12")).isInstanceOf(Ended.Committed.class);
      rank.trainer.close();
    }
  }

  @Test
  void somebodysWishIsServedByTheAgentOfRankZeroOnce() throws Exception {
    try (Nodes one = new Nodes(5);
        Nodes two = new Nodes(6)) {
      one.start();
      two.start();
      List<Rank> ranks = List.of(rank(one, 0, 2, 0), rank(two, 1, 2, 0));
      DueSteps steps = new DueSteps(Stores.run(store), 1, Nodes.CLOCK);
      assertThat(steps.ask()).isEqualTo(1);
      List<@Nullable Long> saved = train(ranks, 2000);
      assertThat(new TreeSet<>(saved)).hasSize(1);
      // A machine that stands still may need several tries; they all serve the one wish.
      Due newest = steps.newest(0).orElseThrow();
      assertThat(newest.why()).isEqualTo("asked");
      assertThat(newest.attempt()).isEqualTo(newest.k());
      for (Rank rank : ranks) {
        rank.trainer.close();
      }
    }
  }

  @Test
  void whoHasNoSegmentAsksWhatIsDueAndNothingIsProposedForThat() throws Exception {
    try (Nodes node = new Nodes(7)) {
      node.start();
      RawTrainer trainer = node.trainer("00000000000000aa");
      trainer.start(store, "token", 0, 1);
      assertThat(trainer.ask(new Request.Preempt(3, null, null)).due()).isZero();
      DueSteps steps = new DueSteps(Stores.run(store), 1, Nodes.CLOCK);
      steps.propose(1, 8, 1, "asked", "00000009");
      assertThat(trainer.ask(new Request.Preempt(4, null, null)).due()).isEqualTo(8);
      trainer.register(RawTrainer.floats("model", 1000, "w"), null);
      assertThat(trainer.segment().agentRecord().orElseThrow().due()).isEqualTo(8);
      trainer.close();
    }
  }

  @Test
  void triesAreUsedUpAfterTheLast() throws Exception {
    try (Nodes node = new Nodes(8)) {
      node.start();
      Rank rank = rank(node, 0, 2, 0);
      DueSteps steps = new DueSteps(Stores.run(store), 1, Nodes.CLOCK);
      steps.propose(1, 5, DueSteps.MOST_ATTEMPTS, "asked", "00000009");
      assertThatExceptionOfType(KeepstoneException.Busy.class)
          .isThrownBy(() -> rank.trainer.ask(new Request.Preempt(9, null, 5L)));
      assertThat(steps.find(2)).isEmpty();
      rank.trainer.close();
    }
  }
}
