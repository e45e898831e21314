package dev.keepstone.testkit;

import dev.keepstone.testkit.Interleavings.Outcome;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.random.RandomGenerator;

/// Runs the real code of several actors in one order of their steps, drawn at random: where
/// [Interleavings] tries every order of a few short ones, this tries one of many long ones. Actors
/// may come at any moment, and be killed before any of their steps. The same generator and the same
/// actors give the same order.
///
/// An actor goes on for a while before another one's turn comes; for how long on average is drawn
/// once, so that among many seeds there are fine mixtures and actors that stand still while others
/// go through all of their lives.
///
/// With `-Dkeepstone.steps=true` every step is printed.
public final class Shuffle implements AutoCloseable {
  private static final int[] STAYS = {2, 8, 64, 512};
  private static final int REMEMBERED = 60;
  private static final boolean PRINTS = Boolean.getBoolean("keepstone.steps");

  private final RandomGenerator luck;
  private final int stay;
  private final List<Performance> cast = new ArrayList<>();
  private final Deque<String> recent = new ArrayDeque<>();
  private int current;

  private Shuffle(RandomGenerator luck) {
    this.luck = luck;
    this.stay = STAYS[luck.nextInt(STAYS.length)];
  }

  /// A test that brings actors on and lets them go.
  public interface Scene {
    void play(Shuffle shuffle) throws Exception;
  }

  /// Plays a scene; who still waits at its end dies.
  ///
  /// @throws AssertionError with the last steps, where the scene fails
  public static void play(RandomGenerator luck, Scene scene) {
    Stage.play(
        "shuffle",
        () -> {
          try (Shuffle shuffle = new Shuffle(luck)) {
            shuffle.playThrough(scene);
          }
          return "played";
        });
  }

  private void playThrough(Scene scene) throws Exception {
    try {
      scene.play(this);
    } catch (AssertionError e) {
      throw new AssertionError(
          e.getMessage() + "\nthe last steps:\n  " + String.join("\n  ", recent), e);
    }
  }

  /// Brings an actor on, up to its first turn.
  public void begin(String name, Script script) {
    Performance performance = new Performance(name);
    cast.add(performance);
    performance.begin(script);
  }

  /// Lets actors go until that many steps are made or none waits for a turn.
  ///
  /// @return whether any still waits
  public boolean go(int steps) {
    for (int step = 0; step < steps; step++) {
      List<Integer> waiting = waiting();
      if (waiting.isEmpty()) {
        return false;
      }
      if (!waiting.contains(current) || luck.nextInt(stay) == 0) {
        current = waiting.get(luck.nextInt(waiting.size()));
      }
      go(current, false);
    }
    return !waiting().isEmpty();
  }

  /// Kills one of those that wait, if any does.
  public void kill() {
    List<Integer> waiting = waiting();
    if (!waiting.isEmpty()) {
      go(waiting.get(luck.nextInt(waiting.size())), true);
    }
  }

  /// Kills all.
  public void killAll() {
    waiting().forEach(actor -> go(actor, true));
  }

  private void go(int actor, boolean death) {
    Performance performance = cast.get(actor);
    String step = performance.pending();
    performance.go(death);
    if (recent.size() == REMEMBERED) {
      recent.removeFirst();
    }
    String became =
        death ? " dies before " + step : ": " + step + " -> " + performance.lastResult();
    recent.addLast(performance.name() + became);
    if (PRINTS) {
      System.out.println(recent.getLast());
    }
  }

  private List<Integer> waiting() {
    List<Integer> waiting = new ArrayList<>();
    for (int i = 0; i < cast.size(); i++) {
      if (cast.get(i).waiting()) {
        waiting.add(i);
      }
    }
    return waiting;
  }

  /// How those ended that have, in the order in which they came on.
  public List<Outcome> outcomes() {
    return cast.stream()
        .filter(performance -> !performance.waiting())
        .map(Performance::outcome)
        .toList();
  }

  @Override
  public void close() {
    cast.forEach(Performance::abandon);
  }
}
