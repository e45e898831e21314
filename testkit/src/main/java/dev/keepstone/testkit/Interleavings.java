package dev.keepstone.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// Runs the real code of a few actors in every order of their steps.
///
/// An actor is ordinary blocking code that calls [Turns#take] before each act that others can see
/// (a disk or a store handed to it does so: [TurnsDisk]). The explorer lets one actor go at a time,
/// from one turn to the next, and tries every choice, by running again from a fresh world and
/// replaying what was chosen. With [#deaths] an actor may also end for good before any of its
/// steps.
///
/// Two orders that lead to the same shared world and have shown each actor the same are followed
/// only once. That is exhaustive as long as actors are deterministic: what an actor does next
/// follows from the results of its turns alone (no clock, no randomness, no memory shared beside
/// the world). A failure prints the schedule that led to it.
///
/// @param <W> what the actors share
public final class Interleavings<W> {
  /// Steps of one run after which actors are taken to go round in circles.
  private static final int MAX_STEPS = 10_000;

  private final Supplier<W> world;
  private final Function<W, String> fingerprint;
  private final List<Actor<W>> actors = new ArrayList<>();
  private Consumer<W> invariant = shared -> {};
  private int deaths;

  private Interleavings(Supplier<W> world, Function<W, String> fingerprint) {
    this.world = world;
    this.fingerprint = fingerprint;
  }

  /// @param world makes a fresh world, always the same
  /// @param fingerprint tells everything that actors share; equal for equal worlds only
  public static <W> Interleavings<W> of(Supplier<W> world, Function<W, String> fingerprint) {
    return new Interleavings<>(world, fingerprint);
  }

  /// Code of one actor.
  public interface Body<W> {
    @Nullable Object run(W world, Turns turns) throws Exception;
  }

  record Actor<W>(String name, Body<W> body) {}

  /// How an actor ended: died, or with a result, or with what it threw.
  public record Outcome(
      String actor, boolean died, @Nullable Object result, @Nullable Throwable failure) {}

  /// What is asserted when all actors have ended.
  public interface Check<W> {
    void check(W world, List<Outcome> outcomes) throws Exception;
  }

  /// How much was tried.
  ///
  /// @param runs executions from a fresh world
  /// @param states different situations reached
  /// @param ends those of them in which all actors had ended
  public record Explored(int runs, int states, int ends) {}

  /// Adds an actor; outcomes stand in this order.
  public Interleavings<W> actor(String name, Body<W> body) {
    actors.add(new Actor<>(name, body));
    return this;
  }

  /// Lets up to that many actors die, each before any of its steps.
  public Interleavings<W> deaths(int count) {
    deaths = count;
    return this;
  }

  /// Is asserted after every step.
  public Interleavings<W> invariant(Consumer<W> holds) {
    invariant = holds;
    return this;
  }

  /// Tries every order.
  ///
  /// @param maxRuns after that many runs the exploration counts as failed, not as finished
  /// @throws AssertionError with the schedule, where a check fails or the bound is reached
  public Explored explore(int maxRuns, Check<W> check) {
    return Stage.play("explorer", () -> new Exploration(maxRuns, check).all());
  }

  /// A choice: which actor goes, and whether to its death.
  private record Choice(int actor, boolean death) {}

  /// 128 bits of a SHA-256: two situations never share them by chance.
  private record Situation(long high, long low) {}

  private final class Exploration {
    private final int maxRuns;
    private final Check<W> check;
    private final Deque<List<Choice>> untried = new ArrayDeque<>();
    private final Set<Situation> seen = new HashSet<>();
    private int runs;
    private int ends;

    Exploration(int maxRuns, Check<W> check) {
      this.maxRuns = maxRuns;
      this.check = check;
    }

    Explored all() {
      untried.push(List.of());
      while (!untried.isEmpty()) {
        if (runs == maxRuns) {
          throw new AssertionError(
              "not every order was tried within %d runs: %d situations, %d branches left"
                  .formatted(runs, seen.size(), untried.size()));
        }
        runs++;
        run(untried.pop());
      }
      return new Explored(runs, seen.size(), ends);
    }

    private void run(List<Choice> prefix) {
      W shared = world.get();
      List<Performance> cast = new ArrayList<>();
      List<Choice> taken = new ArrayList<>(prefix);
      List<String> schedule = new ArrayList<>();
      try {
        for (Actor<W> actor : actors) {
          Performance performance = new Performance(actor.name());
          cast.add(performance);
          performance.begin(turns -> actor.body().run(shared, turns));
        }
        for (Choice choice : prefix) {
          step(cast, choice, schedule);
        }
        while (isNew(shared, cast)) {
          invariant.accept(shared);
          List<Choice> choices = choices(cast, taken);
          if (choices.isEmpty()) {
            ends++;
            check.check(shared, cast.stream().map(Performance::outcome).toList());
            return;
          }
          for (Choice other : choices.subList(1, choices.size())) {
            List<Choice> branch = new ArrayList<>(taken);
            branch.add(other);
            untried.push(List.copyOf(branch));
          }
          taken.add(choices.getFirst());
          step(cast, choices.getFirst(), schedule);
        }
      } catch (Exception | AssertionError e) {
        throw new AssertionError(
            e.getMessage() + "\nin this order:\n  " + String.join("\n  ", schedule), e);
      } finally {
        cast.forEach(Performance::abandon);
      }
    }

    private void step(List<Performance> cast, Choice choice, List<String> schedule) {
      if (schedule.size() == MAX_STEPS) {
        throw new AssertionError("no end after " + MAX_STEPS + " steps");
      }
      Performance performance = cast.get(choice.actor());
      schedule.add(
          performance.name() + (choice.death() ? " dies before " : ": ") + performance.pending());
      performance.go(choice.death());
      if (!choice.death()) {
        schedule.set(schedule.size() - 1, schedule.getLast() + " -> " + performance.lastResult());
      }
    }

    private List<Choice> choices(List<Performance> cast, List<Choice> taken) {
      boolean mayDie = taken.stream().filter(Choice::death).count() < deaths;
      List<Choice> choices = new ArrayList<>();
      for (int i = 0; i < cast.size(); i++) {
        if (cast.get(i).waiting()) {
          choices.add(new Choice(i, false));
          if (mayDie) {
            choices.add(new Choice(i, true));
          }
        }
      }
      return choices;
    }

    private boolean isNew(W shared, List<Performance> cast) {
      MessageDigest digest = sha256();
      digest.update(fingerprint.apply(shared).getBytes(UTF_8));
      for (Performance performance : cast) {
        digest.update(performance.history());
      }
      ByteBuffer bits = ByteBuffer.wrap(digest.digest());
      return seen.add(new Situation(bits.getLong(), bits.getLong()));
    }
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  /// Text of a result that tells apart what an actor can tell apart.
  static String render(@Nullable Object result) {
    return switch (result) {
      case null -> "null";
      case byte[] bytes -> "bytes " + bytes.length + ":" + Arrays.hashCode(bytes);
      case List<?> list -> list.stream().map(Interleavings::render).toList().toString();
      case java.util.Optional<?> optional -> optional.map(Interleavings::render).toString();
      case Throwable thrown -> thrown.getClass().getSimpleName() + " " + thrown.getMessage();
      default -> String.valueOf(result);
    };
  }
}
