package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonWriter;
import dev.keepstone.segment.wire.Event;
import java.io.IOException;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// The acts of the quickstart, with real processes: train and kill, let the agent finish, resume,
/// and train once more without interruption to compare.
///
/// Every act takes down the news of the processes in the ledger; what it decides it asks of the
/// ledger.
final class QuickstartStory {
  /// The moment of the kill.
  ///
  /// @param id the checkpoint that was draining
  /// @param at when the signal was sent
  /// @param begun the last step that had begun
  /// @param ended the last step that had ended
  /// @param percent of the checkpoint drained by then
  record Kill(String id, long pid, Instant at, long begun, long ended, long percent) {}

  /// @param from `memory` or `store`
  /// @param millis of the trainer, from the question to the last tensor filled
  record Restored(String id, long step, String from, double millis) {}

  private static final int SILENCE_SECONDS = 120;
  private static final int KILLED = 128 + 9;

  private final Console console;
  private final QuickstartPlan plan;
  private final QuickstartAgent agent;
  private final BlockingQueue<QuickstartNews> news;
  private final QuickstartLedger ledger = new QuickstartLedger();
  private final Set<String> shown = new HashSet<>();

  /// @param agent runs, and its events come as `news`
  QuickstartStory(
      Console console,
      QuickstartPlan plan,
      QuickstartAgent agent,
      BlockingQueue<QuickstartNews> news) {
    this.console = console;
    this.plan = plan;
    this.agent = agent;
    this.news = news;
  }

  QuickstartLedger ledger() {
    return ledger;
  }

  /// Trains, saves, and kills the trainer in the middle of a step while a checkpoint drains.
  Kill trainAndKill() throws IOException, InterruptedException {
    try (QuickstartTrainer trainer = start(plan.savingTrainer())) {
      Json.Obj ready = ready(trainer);
      console.say(QuickstartLines.trainer(trainer.pid(), ready.integer("parameters")));
      console.say(QuickstartLines.text(ready.integer("text_bytes"), plan.every()));
      boolean slowed = false;
      while (true) {
        go(trainer);
        // The first checkpoint shows the disk's own speed; from then on drains are slow.
        if (!slowed && !shown.isEmpty()) {
          slowed = true;
          long bytes = ledger.saves().getFirst().bytes();
          limit(plan.slowRate(bytes, ledger.medianStepMillis()));
        }
        Optional<QuickstartLedger.Save> slow = ledger.save(plan.slowStep());
        if (slow.isPresent() && ledger.begun() >= plan.killStep()) {
          if (ledger.draining(slow.get().id())) {
            return kill(trainer, slow.get());
          }
          if (ledger.begun() >= plan.slowStep() + plan.every()) {
            throw noSuchMoment();
          }
        }
      }
    }
  }

  private Kill kill(QuickstartTrainer trainer, QuickstartLedger.Save slow)
      throws InterruptedException {
    TimeUnit.MICROSECONDS.sleep((long) (ledger.medianStepMillis() * 1000 / 2));
    Instant at = console.shell().clock().instant();
    trainer.kill();
    long percent = ledger.percent(slow.id());
    int code = untilEnd();
    if (code != KILLED) {
      throw trainer.failure(code);
    }
    show(slow, percent + " % drained");
    console.say(QuickstartLines.kill(trainer.pid(), ledger.begun(), ledger.ended(), slow.step()));
    return new Kill(slow.id(), trainer.pid(), at, ledger.begun(), ledger.ended(), percent);
  }

  /// Lifts the limit and waits until the agent has committed what the dead trainer left.
  void letTheAgentFinish(Kill kill) throws IOException, InterruptedException {
    limit(null);
    while (ledger.event(kill.id(), "committed").isEmpty()) {
      next();
    }
    if (!ledger.wasDraining(kill.id(), kill.at())) {
      throw noSuchMoment();
    }
  }

  /// Starts the trainer again and lets it run to the end.
  Restored resume() throws IOException, InterruptedException {
    try (QuickstartTrainer trainer = start(plan.savingTrainer())) {
      Json.Obj ready = ready(trainer);
      if (!ready.has("restored")) {
        throw new KeepstoneException.Failed(
            "the trainer began anew instead of resuming",
            plan.store() + "/" + plan.run(),
            "run it again with --debug and report what it prints",
            null);
      }
      Json.Obj line = ready.object("restored");
      Restored restored =
          new Restored(line.text("id"), line.integer("step"), line.text("from"), line.real("ms"));
      console.say(
          QuickstartLines.restored(
              trainer.pid(), restored.id(), restored.from(), restored.millis()));
      finish(trainer);
      while (shown.size() < ledger.saves().size()) {
        next();
      }
      return restored;
    }
  }

  /// Trains without interruption and without saving, in a process of its own.
  QuickstartLedger.Losses reference() throws IOException, InterruptedException {
    try (QuickstartTrainer trainer = start(plan.trainer())) {
      finish(trainer);
      return ledger.losses();
    }
  }

  private QuickstartTrainer start(List<String> options) throws IOException {
    ledger.trainer();
    return QuickstartTrainer.start(plan.lib(), options, agent.place(), news);
  }

  private void limit(@Nullable Long bytesPerSecond) throws IOException {
    agent.limit(plan.store(), plan.run(), bytesPerSecond);
  }

  private Json.Obj ready(QuickstartTrainer trainer) throws InterruptedException {
    while (ledger.ready().isEmpty()) {
      go(trainer);
    }
    return ledger.ready().get();
  }

  private void finish(QuickstartTrainer trainer) throws InterruptedException {
    int code = untilEnd();
    if (code != 0) {
      throw trainer.failure(code);
    }
  }

  /// The next news while the trainer must go on.
  private void go(QuickstartTrainer trainer) throws InterruptedException {
    OptionalInt ended = next();
    if (ended.isPresent()) {
      throw trainer.failure(ended.getAsInt());
    }
  }

  private int untilEnd() throws InterruptedException {
    while (true) {
      OptionalInt ended = next();
      if (ended.isPresent()) {
        return ended.getAsInt();
      }
    }
  }

  /// Takes down one piece of news, and shows each checkpoint that has become durable.
  ///
  /// @return the exit status where the trainer has ended
  private OptionalInt next() throws InterruptedException {
    QuickstartNews next = news.poll(SILENCE_SECONDS, TimeUnit.SECONDS);
    switch (next) {
      case null ->
          throw new KeepstoneException.Failed(
              "neither trainer nor agent said anything for " + SILENCE_SECONDS + " s",
              plan.store().toString(),
              "see whether the machine is overloaded, then run it again",
              null);
      case QuickstartNews.Said(Json.Obj line) -> ledger.said(line);
      case QuickstartNews.Told(Event event) -> told(event);
      case QuickstartNews.TrainerEnded(int code) -> {
        if (code == ExitCode.INTERRUPTED.number) {
          // Ctrl-C reaches the trainer, too, and may reach it first.
          throw new InterruptedException("the trainer was interrupted");
        }
        return OptionalInt.of(code);
      }
      case QuickstartNews.AgentEnded(String why) ->
          throw new KeepstoneException.AgentUnavailable(
              "the agent ended: " + why,
              agent.place().toString(),
              "run it again with --debug and report what it prints");
    }
    for (QuickstartLedger.Save save : ledger.saves()) {
      ledger
          .durableMillis(save.id())
          .ifPresent(millis -> show(save, QuickstartLines.durable(millis)));
    }
    return OptionalInt.empty();
  }

  private void told(Event event) {
    ledger.told(event);
    if (event.name().equals("failed")) {
      throw new KeepstoneException.Failed(
          "the agent could not make a checkpoint durable",
          JsonWriter.compact(event.detail()),
          "see whether the disk is full or not writable",
          null);
    }
  }

  private void show(QuickstartLedger.Save save, String end) {
    if (shown.add(save.id())) {
      console.say(QuickstartLines.save(save, end));
    }
  }

  private KeepstoneException.Failed noSuchMoment() {
    return new KeepstoneException.Failed(
        "no checkpoint was draining at the moment of the kill",
        plan.store() + "/" + plan.run(),
        "give it more time: ./keepstone quickstart --steps " + 3 * plan.steps(),
        null);
  }
}
