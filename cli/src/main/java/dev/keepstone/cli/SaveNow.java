package dev.keepstone.cli;

import dev.keepstone.Host;
import dev.keepstone.Store;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.store.due.DueSteps;
import dev.keepstone.store.object.Due;
import dev.keepstone.store.part.Refusal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Reference;
import dev.keepstone.store.run.Attempt;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `keepstone save-now`: asks the ranks of a run, through the store, to save one more step.
@Command(
    name = "save-now",
    header = "Have a training run save now, and wait until that is durable.",
    footer = {
      "",
      "Examples:",
      "  keepstone save-now ckpts/gpt",
      "  keepstone save-now ckpts/gpt --timeout 30min --json"
    })
final class SaveNow implements Verb {
  private static final Duration LOOK_EVERY = Duration.ofMillis(500);

  /// Agents look once a second; a store that is slow may take some of that.
  private static final Duration ANSWER_PATIENCE = Duration.ofSeconds(30);

  @Parameters(paramLabel = "STORE/RUN", description = "The run; it may train on other machines.")
  String where = ".";

  @Option(
      names = "--timeout",
      paramLabel = "DURATION",
      converter = DurationOption.class,
      defaultValue = "20min",
      description = "How long to wait until it is durable (default: ${DEFAULT-VALUE}).")
  Duration timeout = Duration.ofMinutes(20);

  @Override
  public Set<ExitCode> codes() {
    return ExitCode.reading(
        ExitCode.BUSY,
        ExitCode.NO_SPACE,
        ExitCode.NO_AGENT,
        ExitCode.UNKNOWN,
        ExitCode.INTERRUPTED);
  }

  @Override
  public Answer run(Console console) throws InterruptedException {
    Host host = console.shell().host();
    Reference named = Reference.parse(where, host.disk());
    Run run = Store.open(host, named.store()).run(named.run());
    int start =
        run.lookDecided(host.clock())
            .starts()
            .newestDecided()
            .orElseThrow(() ->
                new KeepstoneException.NotFound(
                    "no trainer ever started this run",
                    where,
                    "start one; its first save makes it"));
    DueSteps steps = new DueSteps(run, start, host.clock());
    long begun = host.clock().nanos();
    int k = steps.ask();
    console.note("asked start " + start + " to save");
    Due due = answered(steps, k, host);
    while (true) {
      console.note("step " + due.step() + " is due");
      Optional<Due> later = settle(run, steps, due, begun, host);
      if (later.isEmpty()) {
        break;
      }
      due = later.get();
    }
    double seconds = Math.round((host.clock().nanos() - begun) / 1e6) / 1e3;
    console.say("saved " + due.id() + " after " + seconds + " s");
    return Answer.of(
        Json.object()
            .put("run", run.name())
            .put("id", due.id().toString())
            .put("step", due.step())
            .put("attempts", due.attempt())
            .put("seconds", seconds)
            .build());
  }

  private Due answered(DueSteps steps, int k, Host host) throws InterruptedException {
    long begun = host.clock().nanos();
    while (host.clock().nanos() - begun < ANSWER_PATIENCE.toNanos()) {
      Optional<Due> due = steps.find(k);
      if (due.isPresent()) {
        return due.get();
      }
      pause(host);
    }
    throw new KeepstoneException.AgentUnavailable(
        "no agent took up the wish within " + ANSWER_PATIENCE.toSeconds() + " s",
        where + ", start " + steps.start(),
        "look whether rank 0 still trains: keepstone agent status there");
  }

  /// Waits until the due step is committed, or a later one takes its place.
  ///
  /// @return the later one; empty once it is committed
  private Optional<Due> settle(Run run, DueSteps steps, Due due, long begun, Host host)
      throws InterruptedException {
    while (true) {
      View view = run.look();
      if (view.manifests().containsKey(due.id())) {
        return Optional.empty();
      }
      Optional<Due> later = steps.newest(due.k());
      if (later.isPresent()) {
        return later;
      }
      Optional<Refusal> refusal = refusal(run, view, due.id());
      if (host.clock().nanos() - begun > timeout.toNanos()) {
        throw new KeepstoneException.Busy(
            "not durable after "
                + timeout.toSeconds()
                + " s"
                + refusal.map(told -> ": " + told.why().text() + ", " + told.detail()).orElse(""),
            where + "@" + due.id(),
            "wait for it: keepstone watch " + where + " --until-commit");
      }
      if (refusal.isPresent() && !refusal.get().why().equals(Refusal.Why.SKIPPED)) {
        throw new KeepstoneException.Failed(
            "rank "
                + refusal.get().rank()
                + " refused, "
                + refusal.get().why().text()
                + ": "
                + refusal.get().detail(),
            where + "@" + due.id(),
            "ask again",
            null);
      }
      pause(host);
    }
  }

  private static Optional<Refusal> refusal(Run run, View view, CheckpointId id) {
    return run.attempts(view).stream()
        .filter(attempt -> attempt.id().equals(id))
        .findFirst()
        .flatMap(Attempt::refusal);
  }

  private static void pause(Host host) throws InterruptedException {
    host.clock().pause(LOOK_EVERY);
    if (Thread.interrupted()) {
      throw new InterruptedException("the wish stays; whoever trains may still save");
    }
  }
}
