package dev.keepstone.agent;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.store.fact.Fact;
import dev.keepstone.store.journal.Journal;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.reference.Which;
import dev.keepstone.store.run.Run;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// Writes down what this agent learns of a run's checkpoints after their commit. What nobody waits
/// for is collected and written in batches by the thread of upkeep, far from every save.
final class FactWriter {
  /// More are not kept where the store takes none: the oldest go, for they tell least.
  private static final int MOST_WAITING = 10_000;

  private final LiveRun live;
  private final Node node;
  private final Deque<Fact> waiting = new ArrayDeque<>();
  private @Nullable Journal journal;

  FactWriter(LiveRun live, Node node) {
    this.live = live;
    this.node = node;
  }

  /// The run's journal of this process.
  synchronized Journal journal() {
    Journal open = journal;
    if (open == null) {
      open = Journal.of(live.open(), node.clock(), node.nonce(), "agent " + node.nonce());
      journal = open;
    }
    return open;
  }

  /// A fact for the next batch.
  synchronized void add(Fact fact) {
    if (waiting.size() == MOST_WAITING) {
      waiting.removeFirst();
    }
    waiting.addLast(fact);
  }

  synchronized boolean isWaiting() {
    return !waiting.isEmpty();
  }

  /// Writes down what waits. Where that fails it waits on: told twice, a fact is the same fact.
  ///
  /// @return whether anything waited
  boolean write() {
    List<Fact> batch;
    synchronized (this) {
      batch = new ArrayList<>(waiting);
    }
    if (batch.isEmpty()) {
      return false;
    }
    journal().append(batch);
    synchronized (this) {
      batch.forEach(waiting::remove);
    }
    return true;
  }

  /// Retention rules that a trainer gave, where they are not what the run has.
  void policy(Json.Obj rules) {
    Optional<Fact.Policy> known = live.open().lookAtFacts().facts().policy();
    if (known.isEmpty() || !known.get().rules().equals(rules)) {
      add(new Fact.Policy(rules));
    }
  }

  /// Metrics that came after a save. They are in the store when this returns.
  ///
  /// @param start the trainer's, whose own steps are meant first
  /// @param own whether the trainer saved that checkpoint
  Answer.Report report(int start, Which which, Json.Obj metrics, Own own) {
    Run run = live.open();
    Optional<CheckpointId> saved =
        which instanceof Which.Step(long step)
            ? Optional.of(new CheckpointId(start, step)).filter(own::saved)
            : Optional.empty();
    CheckpointId id = saved.orElseGet(() -> run.lookDecided(node.clock()).find(which));
    Fact.Metrics fact;
    try {
      fact = new Fact.Metrics(id, metrics);
    } catch (IllegalArgumentException e) {
      throw new KeepstoneException.Refused(
          String.valueOf(e.getMessage()), live.key() + "@" + id, "report numbers");
    }
    journal().append(List.of(fact));
    return new Answer.Report(id.toString());
  }

  /// Whether a trainer has saved, or is saving, a checkpoint.
  interface Own {
    boolean saved(CheckpointId id);
  }
}
