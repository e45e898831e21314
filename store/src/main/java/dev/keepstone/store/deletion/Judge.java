package dev.keepstone.store.deletion;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Tomb;
import dev.keepstone.store.object.Wish;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.retention.KeepRules;
import dev.keepstone.store.retention.Needs;
import dev.keepstone.store.retention.Plan;
import dev.keepstone.store.retention.Retention;
import dev.keepstone.store.run.Attempt;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.View;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// Decides, from one look after the grace, which announced wishes stand: each is judged by what its
/// tomb says it came from.
final class Judge {
  private final Run.LookToDelete look;
  private final View view;
  private final Map<CheckpointId, String> held;
  private final Optional<KeepRules> own;
  private final Needs needs;
  private final Set<CheckpointId> standing;
  private final Set<CheckpointId> unreadable = new HashSet<>();
  private final Map<KeepRules, Map<CheckpointId, Plan.Entry>> plans = new HashMap<>();

  /// @param held what holds keep, with the reason
  /// @param own the rules that the run has now, where this process knows better than the journal
  Judge(Run.LookToDelete look, Map<CheckpointId, String> held, Optional<KeepRules> own) {
    this.look = look;
    this.view = look.view();
    this.held = new HashMap<>(held);
    this.own = own.or(() -> Needs.policyOf(view));
    for (Attempt attempt : look.unfinished()) {
      for (CheckpointId used : attempt.uses()) {
        this.held.putIfAbsent(used, attempt.id() + " is about to use its shards");
      }
    }
    this.needs = Needs.of(view, this.held);
    this.standing = Set.copyOf(view.standing());
    view.damaged().forEach(damaged -> Names.manifestOf(damaged.file()).ifPresent(unreadable::add));
  }

  /// What a look says of a wish.
  sealed interface Verdict {
    /// Nothing stands against it.
    record Goes() implements Verdict {}

    /// It stays.
    record Stays(String why) implements Verdict {}

    /// This look does not tell: the next one may.
    record Open() implements Verdict {}
  }

  Verdict judge(Tomb tomb) {
    CheckpointId id = tomb.id();
    if (unreadable.contains(id)) {
      return new Verdict.Stays("its manifest is damaged, so that what it is cannot be told");
    }
    if (!standing.contains(id)) {
      return attempt(id);
    }
    String need = String.join(", ", needs.of(id));
    if (!need.isEmpty()) {
      return new Verdict.Stays(need);
    }
    if (!view.starts().line().has(id)) {
      // Rules count on the line only: a wish that was announced stands when a rollback comes
      // between.
      return new Verdict.Goes();
    }
    return switch (tomb.wish()) {
      case Wish.Named() -> new Verdict.Goes();
      case Wish.Abandoned() -> new Verdict.Stays("it was committed after all");
      case Wish.Rules(Json.Obj rules) -> byRules(id, rules(rules, tomb));
      case Wish.Policy(Json.Obj rules) ->
          byRules(id, rules(rules, tomb)) instanceof Verdict.Stays stays
              ? stays
              : own.map(now -> byRules(id, now)).orElseGet(Verdict.Goes::new);
      // By which rules is not known: those of now decide, and without any nothing does.
      case Wish.Unsaid() -> own.map(now -> byRules(id, now)).orElseGet(Verdict.Open::new);
    };
  }

  private Verdict attempt(CheckpointId id) {
    Attempt attempt = look.attempts().get(id);
    if (attempt == null) {
      return new Verdict.Open();
    }
    return attempt.complete() && view.starts().line().has(id)
        ? new Verdict.Stays("it wants nothing but its manifest")
        : new Verdict.Goes();
  }

  private Verdict byRules(CheckpointId id, KeepRules rules) {
    Plan.Entry entry = plans.computeIfAbsent(rules, this::plan).get(id);
    return entry == null || entry.action() == Plan.Action.KEEP
        ? new Verdict.Stays(entry == null ? "it is not in the plan" : entry.why())
        : new Verdict.Goes();
  }

  private Map<CheckpointId, Plan.Entry> plan(KeepRules rules) {
    Map<CheckpointId, Plan.Entry> entries = new HashMap<>();
    Retention.plan(view, rules, held).entries().forEach(entry -> entries.put(entry.id(), entry));
    return entries;
  }

  private static KeepRules rules(Json.Obj rules, Tomb tomb) {
    try {
      return KeepRules.read(rules);
    } catch (JsonException e) {
      throw new KeepstoneException.Unsupported(
          "its deletion was announced by rules that are not known: " + e.getMessage(),
          "tomb " + tomb.k() + " of " + tomb.id(),
          "let the Keepstone that announced it conclude it, or update this one");
    }
  }
}
