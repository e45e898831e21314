package dev.keepstone.agent;

import java.util.Arrays;
import java.util.OptionalInt;

/// The life of the slots of one segment (docs/spec/segment.md §5): which state each is in, and what
/// may happen to it next. Pure bookkeeping; the caller guards it and publishes it in the agent
/// record.
///
/// ```
/// FREE → LENT(g) → SEALED(g) → DRAINING(g) → KEPT(g) → FREE
/// ```
///
/// Two rules carry promise 4: a slot whose generation has not ended is never free, and the newest
/// sealed one is not free before a newer one is sealed.
final class Slots {
  /// What a slot is in.
  enum State {
    FREE,
    LENT,
    SEALED,
    DRAINING,
    KEPT
  }

  static final int NONE = -1;

  private final State[] states;
  private final long[] generations;
  private final int[] readers;
  private long newestSealed;
  private long lastLent;

  Slots(int count) {
    states = new State[count];
    generations = new long[count];
    readers = new int[count];
    Arrays.fill(states, State.FREE);
  }

  int count() {
    return states.length;
  }

  State state(int slot) {
    return states[slot];
  }

  long generation(int slot) {
    return generations[slot];
  }

  /// The slot that is lent, or [#NONE].
  int lent() {
    return Arrays.asList(states).indexOf(State.LENT);
  }

  /// Lends a free slot under the next generation, unless one is lent.
  ///
  /// @return the slot lent now, or empty where every other one is taken
  OptionalInt lend() {
    int lent = lent();
    if (lent != NONE) {
      return OptionalInt.of(lent);
    }
    int free = Arrays.asList(states).indexOf(State.FREE);
    if (free == NONE) {
      return OptionalInt.empty();
    }
    states[free] = State.LENT;
    generations[free] = ++lastLent;
    return OptionalInt.of(free);
  }

  /// Whether this is what the trainer may seal now.
  boolean isLent(int slot, long generation) {
    return slot >= 0
        && slot < states.length
        && states[slot] == State.LENT
        && generations[slot] == generation;
  }

  /// The trainer let go of the lent slot. What was kept before it may be freed now.
  void sealed(int slot) {
    require(slot, State.LENT);
    states[slot] = State.SEALED;
    newestSealed = generations[slot];
    for (int other = 0; other < states.length; other++) {
      release(other);
    }
  }

  /// The lent slot comes back without a generation in it: its trainer is gone, or sealed it
  /// wrongly.
  void returned(int slot) {
    require(slot, State.LENT);
    states[slot] = State.FREE;
  }

  void draining(int slot) {
    require(slot, State.SEALED);
    states[slot] = State.DRAINING;
  }

  /// The generation is committed, refused or failed.
  void ended(int slot) {
    if (states[slot] != State.SEALED && states[slot] != State.DRAINING) {
      throw new IllegalStateException("slot " + slot + " ends while it is " + states[slot]);
    }
    states[slot] = State.KEPT;
    release(slot);
  }

  /// Somebody reads the slot's generation; it stays until [#unpin].
  void pin(int slot) {
    readers[slot]++;
  }

  void unpin(int slot) {
    readers[slot]--;
    release(slot);
  }

  /// Whether every generation has ended and nobody reads.
  boolean idle() {
    for (int slot = 0; slot < states.length; slot++) {
      if (readers[slot] > 0 || states[slot] == State.SEALED || states[slot] == State.DRAINING) {
        return false;
      }
    }
    return true;
  }

  /// Takes over what an agent before this one left: the slot holds that generation, sealed or
  /// ended.
  void adopt(int slot, long generation, State state) {
    require(slot, State.FREE);
    states[slot] = state;
    generations[slot] = generation;
    lastLent = Math.max(lastLent, generation);
    if (state != State.LENT) {
      newestSealed = Math.max(newestSealed, generation);
    }
  }

  /// Generations up to this one were lent before; they are never used again.
  void skipTo(long generation) {
    lastLent = Math.max(lastLent, generation);
  }

  private void release(int slot) {
    if (states[slot] == State.KEPT && generations[slot] != newestSealed && readers[slot] == 0) {
      states[slot] = State.FREE;
    }
  }

  private void require(int slot, State expected) {
    if (states[slot] != expected) {
      throw new IllegalStateException(
          "slot " + slot + ": expected " + expected + ", found " + states[slot]);
    }
  }
}
