package dev.keepstone.store.start;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.commit.Commit;
import dev.keepstone.store.commit.Published;
import dev.keepstone.store.hold.Secure;
import dev.keepstone.store.object.Decision;
import dev.keepstone.store.object.Decision.Parent;
import dev.keepstone.store.object.Names;
import dev.keepstone.store.object.Start;
import dev.keepstone.store.object.Start.Wanted;
import dev.keepstone.store.reference.CheckpointId;
import dev.keepstone.store.run.Attempt;
import dev.keepstone.store.run.Damaged;
import dev.keepstone.store.run.Line;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StartsSeen;
import dev.keepstone.store.run.View;
import dev.keepstone.store.start.Started.Skipped;
import dev.keepstone.store.tier.Put;
import dev.keepstone.store.tier.StoreClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// Announces starts and decides their parents. **Announce, then choose**: whatever was reported
/// committed before the announcement is seen by the choice, and whatever comes after sees the
/// announcement.
public final class Starts {
  /// How long a start waits for attempts of the one before it that lack parts.
  public static final Duration ATTEMPT_WAIT = Duration.ofSeconds(30);

  private static final Duration ATTEMPT_POLL = Duration.ofMillis(200);

  private static final Duration DECISION_POLL = Duration.ofMillis(100);

  private final Run run;
  private final StoreClock clock;
  private final Check check;
  private final @Nullable String nonce;

  /// @param check what a checkpoint must pass to be chosen
  public Starts(Run run, StoreClock clock, Check check) {
    this(run, clock, check, null);
  }

  /// @param nonce of the agent that starts; null for who is none
  public Starts(Run run, StoreClock clock, Check check, @Nullable String nonce) {
    this.run = run;
    this.clock = clock;
    this.check = check;
    this.nonce = nonce;
  }

  /// Tells whether a checkpoint can be gone on from.
  public interface Check {
    /// The defect that rules it out, or empty.
    Optional<String> defect(CheckpointId id);

    /// Every committed checkpoint will do.
    static Check none() {
      return id -> Optional.empty();
    }
  }

  /// Joins the start that carries this token, or announces the next one.
  ///
  /// @param token the same for all ranks of one launch, new for every launch
  /// @param world ranks of the launch
  /// @param wanted which parent it wants
  /// @throws KeepstoneException.Refused where the token's start has another world
  public Start join(String token, int world, Wanted wanted) {
    while (true) {
      StartsSeen seen = run.starts();
      Optional<Start> own = own(seen, token);
      if (own.isPresent() && !replaced(own.get(), seen)) {
        return requireWorld(own.get(), world);
      }
      int next = seen.announced().isEmpty() ? 1 : seen.announced().last() + 1;
      Start start = new Start(run.uid(), next, token, world, wanted, clock.instant(), nonce);
      String name = run.names().start(next);
      Put put = run.tier().put(name, start.encode());
      if (put instanceof Put.Committed) {
        return start;
      }
      if (put instanceof Put.Unknown(String why)) {
        throw unknown(name, why);
      }
      // Lost: somebody took the number; perhaps another rank of ours.
    }
  }

  /// Whether a start is void through no fault of its own, so that its ranks take another number.
  private static boolean replaced(Start own, StartsSeen seen) {
    return seen.decided().get(own.number()) instanceof Parent.Void && anyWillDo(own.wanted());
  }

  /// Whether another number would serve as well: only what is asked for by its id is either there
  /// or not.
  private static boolean anyWillDo(Wanted wanted) {
    return !(wanted instanceof Wanted.Of);
  }

  private Optional<Start> own(StartsSeen seen, String token) {
    for (int number : seen.announced().descendingSet()) {
      try {
        Start start = run.start(number);
        if (start.token().equals(token)) {
          return Optional.of(start);
        }
      } catch (KeepstoneException.Integrity e) {
        // The newest may be ours: to announce another would tear the ranks apart. An older one is
        // not, because a token is new for every launch.
        if (number == seen.announced().last()) {
          throw e;
        }
      }
    }
    return Optional.empty();
  }

  private Start requireWorld(Start start, int world) {
    if (start.world() != world) {
      throw new KeepstoneException.Refused(
          "start " + start.number() + " has " + start.world() + " ranks, this rank says " + world,
          run.tier().describe(run.names().start(start.number())),
          "give every launch a token of its own, and all its ranks the same world size");
    }
    return start;
  }

  /// Waits until another rank has decided, at most so long: of many ranks few need to look.
  public void awaitDecision(Start joined, Duration patience) {
    long begin = clock.nanos();
    while (run.decision(joined.number()).isEmpty() && clock.nanos() - begin < patience.toNanos()) {
      clock.pause(DECISION_POLL);
    }
  }

  /// Decides what a start goes on from, or learns what another rank decided.
  ///
  /// @throws KeepstoneException.NotFound where what it wants is not there; the start is void then
  /// @throws KeepstoneException.Integrity where all it could go on from is damaged; likewise
  public Started decide(Start joined) {
    Start start = joined;
    List<Skipped> skipped = new ArrayList<>();
    Optional<Parent> chosen = Optional.empty();
    while (true) {
      Optional<Decision> decision = run.decision(start.number());
      if (decision.isEmpty()) {
        chosen = Optional.of(choose(start, skipped));
        put(start, chosen.get());
        continue;
      }
      Parent parent = decision.get().parent();
      if (!(parent instanceof Parent.Void)) {
        // Another rank may not have synced it yet, and what this one saves stands on it.
        run.makeDurable(run.names().starts());
        Optional<CheckpointId> id =
            parent instanceof Parent.Of(CheckpointId of) ? Optional.of(of) : Optional.empty();
        return new Started(start, id, skipped);
      }
      // Void by our own choice: there is nothing to go on from. Void by a deleter, which takes a
      // start for dead that does not decide: the ranks take another number.
      if (!anyWillDo(start.wanted()) || chosen.equals(Optional.of(parent))) {
        throw nothing(start, skipped);
      }
      start = join(start.token(), start.world(), start.wanted());
    }
  }

  /// A look for a start that is about to choose. Listings are given the time to show what was put
  /// before; attempts of the start before are finished where all their parts lie there, and waited
  /// for where some do.
  private View settled(Start start) {
    if (!run.tier().staleness().isZero()) {
      clock.pause(run.tier().staleness());
    }
    long begin = clock.nanos();
    while (true) {
      View view = run.lookToStart();
      List<CheckpointId> begun = begun(view, start);
      if (begun.isEmpty() || clock.nanos() - begin >= ATTEMPT_WAIT.toNanos()) {
        return view;
      }
      boolean missing = false;
      for (CheckpointId id : begun) {
        missing |= new Commit(run).publish(id) instanceof Published.Incomplete;
      }
      if (!missing) {
        return run.lookToStart();
      }
      clock.pause(ATTEMPT_POLL);
    }
  }

  /// Attempts that may become the newest checkpoint on the line before this start, where that is
  /// what it wants.
  private List<CheckpointId> begun(View view, Start start) {
    boolean newest =
        switch (start.wanted()) {
          case Wanted.Latest latest -> true;
          case Wanted.Must must -> true;
          case Wanted.Fresh fresh -> false;
          case Wanted.Of of -> false;
        };
    if (!newest) {
      return List.of();
    }
    Line before = before(view, start);
    List<CheckpointId> visible = view.visibleOn(before);
    return run.attempts(view).stream()
        .filter(attempt -> !attempt.parts().isEmpty() && attempt.refusal().isEmpty())
        .map(Attempt::id)
        .filter(before::has)
        .filter(id -> visible.isEmpty() || id.compareTo(visible.getLast()) > 0)
        .toList();
  }

  private static Line before(View view, Start start) {
    return view.starts().lineOf(view.starts().newestDecidedBelow(start.number()));
  }

  private Parent choose(Start start, List<Skipped> skipped) {
    skipped.clear();
    View view = settled(start);
    return switch (start.wanted()) {
      case Wanted.Fresh() -> new Parent.Fresh();
      case Wanted.Of(CheckpointId id) ->
          view.standing().contains(id) && Secure.secure(run, id)
              ? new Parent.Of(id)
              : new Parent.Void();
      case Wanted.Latest() -> {
        Optional<Parent> found = newest(view, start, skipped);
        yield found.orElseGet(skipped.isEmpty() ? Parent.Fresh::new : Parent.Void::new);
      }
      case Wanted.Must() -> newest(view, start, skipped).orElseGet(Parent.Void::new);
    };
  }

  /// The newest checkpoint on the line before this start that passes the check and can be secured.
  private Optional<Parent> newest(View settled, Start start, List<Skipped> skipped) {
    View view = settled;
    while (true) {
      requireLine(view, start);
      skipped.clear();
      skipped.addAll(damagedManifests(view, before(view, start)));
      Optional<CheckpointId> sound = Optional.empty();
      for (CheckpointId id : view.visibleOn(before(view, start)).reversed()) {
        Optional<String> defect = view.quarantine(id).or(() -> check.defect(id));
        if (defect.isEmpty()) {
          sound = Optional.of(id);
          break;
        }
        skipped.add(new Skipped(id, defect.get()));
      }
      if (sound.isEmpty()) {
        return Optional.empty();
      }
      if (Secure.secure(run, sound.get())) {
        return Optional.of(new Parent.Of(sound.get()));
      }
      // Purged since the look, so there is a newer one that the look did not see: to go on to an
      // older
      // one, or to none, would lose it.
      view = run.lookToStart();
    }
  }

  /// A decision that cannot be read hides the newest line; to choose from the one before it would
  /// be a rollback that nobody asked for.
  private void requireLine(View view, Start start) {
    int decided = view.starts().newestDecidedBelow(start.number()).orElse(0);
    for (Damaged damaged : view.starts().damaged()) {
      int number = Names.parentOf(damaged.file()).orElse(0);
      if (number > decided && number < start.number()) {
        throw damaged.why();
      }
    }
  }

  private static List<Skipped> damagedManifests(View view, Line before) {
    List<Skipped> skipped = new ArrayList<>();
    for (Damaged damaged : view.damaged()) {
      Names.manifestOf(damaged.file())
          .filter(before::has)
          .ifPresent(id -> skipped.add(new Skipped(id, damaged.why().what())));
    }
    return skipped;
  }

  private void put(Start start, Parent parent) {
    if (parent instanceof Parent.Of) {
      // Its committer may not have synced it yet.
      run.makeDurable(run.names().manifests());
    }
    String name = run.names().parent(start.number());
    byte[] decision = new Decision(run.uid(), start.number(), parent).encode();
    if (run.tier().put(name, decision) instanceof Put.Unknown(String why)) {
      throw unknown(name, why);
    }
  }

  private KeepstoneException nothing(Start start, List<Skipped> skipped) {
    String on = run.tier().describe(run.name());
    if (skipped.isEmpty()) {
      return new KeepstoneException.NotFound(
          "start " + start.number() + " wanted " + start.wanted().text() + ", which is not there",
          on,
          "keepstone ls " + on + " shows what is there");
    }
    Skipped newest = skipped.getFirst();
    return new KeepstoneException.Integrity(
        "none of "
            + skipped.size()
            + " checkpoints is whole; of the newest, "
            + newest.id()
            + ": "
            + newest.why(),
        on,
        "keepstone verify names what is damaged; start afresh with resume=\"never\"");
  }

  private KeepstoneException unknown(String name, String why) {
    return new KeepstoneException.OutcomeUnknown(
        "whether the start was announced or decided is not known: " + why,
        run.tier().describe(name),
        "try again; nothing was deleted");
  }
}
