package dev.keepstone.agent;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.start.Attendance;
import dev.keepstone.store.start.Started;
import dev.keepstone.store.start.Starts;
import dev.keepstone.store.verify.Verify;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// Joins trainers to starts (docs/spec/wire.md "start").
///
/// What dead trainers of the run left sealed on this node is made durable first, at full speed, and
/// only then the start announces itself: so the new start can go on from it, and it is committed
/// and not fenced.
final class Starting {
  /// How long a start waits for what the dead left. A store that takes longer is stuck; then the
  /// start goes on from what is committed.
  private static final long DRAIN_MILLIS = TimeUnit.MINUTES.toMillis(30);

  /// Beyond it ranks look for the parent at the same time.
  private static final long MOST_PATIENCE_SECONDS = 60;

  private static final Set<String> WORDS = Set.of("latest", "must", "fresh");

  private final Agent agent;
  private final Roster roster;
  private final Node node;

  Starting(Agent agent, Node node) {
    this.agent = agent;
    this.roster = agent.roster();
    this.node = node;
  }

  Answer.Start start(Trainer trainer, Request.Start request) throws InterruptedException {
    Path store = Path.of(request.store());
    if (!store.isAbsolute()) {
      throw new KeepstoneException.Refused(
          "expected an absolute path, found \"" + request.store() + "\"",
          "request \"start\"",
          "the agent has another working directory: send the whole path");
    }
    requireRules(request.policy());
    LiveRun live = agent.run(new RunKey(store, request.run()));
    Run run = live.open();
    if (request.world() > 1) {
      // Before anything that takes long: who is not seen here is taken not to see this store.
      new Attendance(run, request.token())
          .announce(request.rank(), request.world(), request.node(), node.nonce());
    }
    drainTheDead(live);
    boolean hasCheckpoints = !run.look().visible().isEmpty();
    Started started = decide(live, run, request);
    synchronized (roster) {
      trainer.local = request.local();
      trainer.membership =
          new Membership(
              live.key(),
              run.uid(),
              started.start(),
              request.rank(),
              request.world(),
              request.policy(),
              request.local(),
              Duration.ofMillis(request.commitTimeoutMs()));
      live.started(started.start());
    }
    live.arrivals()
        .joined(
            request.token(),
            started.start(),
            request.world(),
            node.nonce().equals(started.announced().nonce()),
            request.node());
    if (request.rank() == 0) {
      live.policy(request.policy());
    }
    return answer(run, started, hasCheckpoints);
  }

  /// Of the ranks of a node one looks for the parent, and those of the k-th node only where nobody
  /// has decided for k × 2 s.
  private Started decide(LiveRun live, Run run, Request.Start request) {
    Starts starts = new Starts(run, node.clock(), id -> defect(run, id), node.nonce());
    Start.Wanted wanted = wanted(run, request.wanted());
    Start joined = starts.join(request.token(), request.world(), wanted);
    long order = Math.ceilDiv(request.rank(), request.local());
    starts.awaitDecision(joined, Duration.ofSeconds(Math.min(2 * order, MOST_PATIENCE_SECONDS)));
    synchronized (live.deciding()) {
      return starts.decide(joined);
    }
  }

  /// Rules that are misread would delete what they were to keep: better no start at all.
  private static void requireRules(Json.Obj policy) {
    try {
      KeepRules.read(policy);
    } catch (JsonException e) {
      throw new KeepstoneException.Refused(
          String.valueOf(e.getMessage()),
          "request \"start\", field \"policy\"",
          "name known rules");
    }
  }

  private void drainTheDead(LiveRun live) throws InterruptedException {
    agent.watch().round();
    live.pace().lift();
    try {
      roster.await(() -> !live.owesTheDead(), DRAIN_MILLIS);
    } finally {
      live.pace().lower();
    }
  }

  /// What a look at names and sizes finds wrong. The bytes are checked while they are restored.
  private static Optional<String> defect(Run run, CheckpointId id) {
    return Verify.quick(run, id).problems().stream()
        .findFirst()
        .map(problem ->
            problem.file() + ": expected " + problem.expected() + ", found " + problem.found());
  }

  /// A word of the protocol, or any choice of a reference, which becomes the id it means now.
  private Start.Wanted wanted(Run run, String text) {
    if (WORDS.contains(text)) {
      return Start.Wanted.parse(text);
    }
    Which which = Which.parse(text, run.name() + "@" + text);
    return new Start.Wanted.Of(run.lookDecided(node.clock()).find(which));
  }

  private static Answer.Start answer(Run run, Started started, boolean hasCheckpoints) {
    @Nullable CheckpointId parent = started.parent().orElse(null);
    return new Answer.Start(
        run.uid(),
        started.start(),
        parent == null ? null : parent.toString(),
        parent == null ? null : parent.step(),
        hasCheckpoints,
        started.skipped().stream()
            .map(skipped -> new Answer.Skipped(skipped.id().toString(), skipped.why()))
            .toList(),
        started.announced().nonce());
  }
}
