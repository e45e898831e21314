package dev.keepstone.testkit;

import org.jspecify.annotations.Nullable;

/// What an actor of [Interleavings] calls before everything that others can see.
public interface Turns {
  /// Waits until it is this actor's turn, then acts.
  ///
  /// @param step names the act in the printed schedule; it must follow from what the actor saw
  ///   before
  /// @param act is done in one go; its result (or failure) must tell by its `toString` all that the
  ///   actor learns, byte arrays and lists of them apart, which are looked into
  <T extends @Nullable Object, E extends Exception> T take(String step, Act<T, E> act) throws E;

  /// Returns while the actor lives and throws [Died] after: for acts too small for a turn of their
  /// own, which a dead actor must not do either.
  void requireAlive();

  /// Adds to what this actor has learned outside its turns. Without it, two runs in which the actor
  /// knows different things could be taken for one.
  void saw(String what);

  /// One act.
  interface Act<T extends @Nullable Object, E extends Exception> {
    T run() throws E;
  }

  /// The end of an actor, thrown out of its turn; an `Error`, so that no handler of exceptions goes
  /// on living.
  final class Died extends Error {
    private static final long serialVersionUID = 1;

    Died() {
      super("the actor died here", null, false, false);
    }
  }
}
