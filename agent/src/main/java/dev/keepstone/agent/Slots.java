package dev.keepstone.agent;

import dev.keepstone.segment.file.SlotState;
import java.util.Arrays;
import java.util.List;
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
  static final int NONE = -1;

  private final SlotState[] states;
  private final long[] generations;
  private final int[] readers;
  private long newestSealed;
  private long lastLent;

  Slots(int count) {
    states = new SlotState[count];
    generations = new long[count];
    readers = new int[count];
    Arrays.fill(states, SlotState.FREE);
  }

  int count() {
    return states.length;
  }

  SlotState state(int slot) {
    return states[slot];
  }

  long generation(int slot) {
    return generations[slot];
  }

  /// The states, slot by slot, as they are now.
  List<SlotState> states() {
    return List.of(states);
  }

  /// The slot that is lent, or [#NONE].
  int lent() {
    return Arrays.asList(states).indexOf(SlotState.LENT);
  }

  /// Lends a free slot under the next generation, unless one is lent.
  ///
  /// @return the slot lent now, or empty where every other one is taken
  OptionalInt lend() {
    int lent = lent();
    if (lent != NONE) {
      return OptionalInt.of(lent);
    }
    int free = Arrays.asList(states).indexOf(SlotState.FREE);
    if (free == NONE) {
      return OptionalInt.empty();
    }
    states[free] = SlotState.LENT;
    generations[free] = ++lastLent;
    return OptionalInt.of(free);
  }

  /// Whether this is what the trainer may seal now.
  boolean isLent(int slot, long generation) {
    return slot >= 0
        && slot < states.length
        && states[slot] == SlotState.LENT
        && generations[slot] == generation;
  }

  /// The trainer let go of the lent slot. What was kept before it may be freed now.
  void sealed(int slot) {
    require(slot, SlotState.LENT);
    states[slot] = SlotState.SEALED;
    newestSealed = generations[slot];
    for (int other = 0; other < states.length; other++) {
      release(other);
    }
  }

  /// The lent slot comes back without a generation in it: its trainer is gone, or sealed it
  /// wrongly.
  void returned(int slot) {
    require(slot, SlotState.LENT);
    states[slot] = SlotState.FREE;
  }

  void draining(int slot) {
    require(slot, SlotState.SEALED);
    states[slot] = SlotState.DRAINING;
  }

  /// The generation is committed, refused or failed.
  void ended(int slot) {
    if (states[slot] != SlotState.SEALED && states[slot] != SlotState.DRAINING) {
      throw new IllegalStateException("slot " + slot + " ends while it is " + states[slot]);
    }
    states[slot] = SlotState.KEPT;
    release(slot);
  }

  /// The slot that holds the last sealed generation before this one, or [#NONE].
  int before(long generation) {
    int found = NONE;
    for (int slot = 0; slot < states.length; slot++) {
      boolean sealed =
          switch (states[slot]) {
            case SEALED, DRAINING, KEPT -> true;
            case FREE, LENT -> false;
          };
      if (sealed
          && generations[slot] < generation
          && (found == NONE || generations[slot] > generations[found])) {
        found = slot;
      }
    }
    return found;
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
      if (readers[slot] > 0
          || states[slot] == SlotState.SEALED
          || states[slot] == SlotState.DRAINING) {
        return false;
      }
    }
    return true;
  }

  /// Takes over what an agent before this one left: the slot holds that generation, sealed or
  /// ended.
  void adopt(int slot, long generation, SlotState state) {
    require(slot, SlotState.FREE);
    states[slot] = state;
    generations[slot] = generation;
    lastLent = Math.max(lastLent, generation);
    if (state != SlotState.LENT) {
      newestSealed = Math.max(newestSealed, generation);
    }
  }

  /// Generations up to this one were lent before; they are never used again.
  void skipTo(long generation) {
    lastLent = Math.max(lastLent, generation);
  }

  private void release(int slot) {
    if (states[slot] == SlotState.KEPT && generations[slot] != newestSealed && readers[slot] == 0) {
      states[slot] = SlotState.FREE;
    }
  }

  private void require(int slot, SlotState expected) {
    if (states[slot] != expected) {
      throw new IllegalStateException(
          "slot " + slot + ": expected " + expected + ", found " + states[slot]);
    }
  }
}
