package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.segment.file.SlotState;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class SlotsTest {
  @Test
  void twoSlotsAlternateAndTheNewestSealedStaysKept() {
    Slots slots = new Slots(2);
    assertThat(slots.lend()).hasValue(0);
    slots.sealed(0);
    assertThat(slots.lend()).hasValue(1);
    slots.draining(0);
    slots.ended(0);
    assertThat(slots.state(0)).isEqualTo(SlotState.KEPT);
    slots.sealed(1);
    assertThat(slots.state(0)).isEqualTo(SlotState.FREE);
    assertThat(slots.lend()).hasValue(0);
    assertThat(slots.generation(0)).isEqualTo(3);
  }

  @Test
  void nothingIsLentWhileEverySlotWaitsForItsDrain() {
    Slots slots = new Slots(2);
    slots.lend();
    slots.sealed(0);
    slots.lend();
    slots.sealed(1);
    assertThat(slots.lend()).isEmpty();
    slots.draining(0);
    assertThat(slots.lend()).isEmpty();
    slots.ended(0);
    assertThat(slots.lend()).hasValue(0);
  }

  @Test
  void aSlotThatIsReadIsNotLentBeforeItsReaderIsGone() {
    Slots slots = new Slots(2);
    slots.lend();
    slots.sealed(0);
    slots.lend();
    slots.ended(0);
    slots.pin(0);
    slots.sealed(1);
    assertThat(slots.lend()).isEmpty();
    assertThat(slots.idle()).isFalse();
    slots.unpin(0);
    assertThat(slots.lend()).hasValue(0);
  }

  @Test
  void aReturnedSlotIsLentAgainUnderANewGeneration() {
    Slots slots = new Slots(2);
    slots.lend();
    slots.returned(0);
    assertThat(slots.lend()).hasValue(0);
    assertThat(slots.generation(0)).isEqualTo(2);
    assertThat(slots.isLent(0, 1)).isFalse();
  }

  @Test
  void anAdoptedGenerationIsNeverUsedAgain() {
    Slots slots = new Slots(3);
    slots.adopt(0, 7, SlotState.SEALED);
    slots.adopt(1, 6, SlotState.KEPT);
    slots.skipTo(9);
    assertThat(slots.lend()).hasValue(2);
    assertThat(slots.generation(2)).isEqualTo(10);
  }

  /// Random lives of two to four slots. What must hold after each step: a slot whose generation has
  /// not ended is not lent again, and the newest sealed generation is still somewhere.
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void noLifeLosesAGenerationThatHasNotEnded(long seed) {
    Random random = new Random(seed);
    Slots slots = new Slots(2 + (int) (seed % 3));
    Deque<Integer> queue = new ArrayDeque<>();
    List<Integer> draining = new ArrayList<>();
    long newest = 0;
    for (int step = 0; step < 2000; step++) {
      switch (random.nextInt(4)) {
        case 0 -> slots.lend();
        case 1 -> {
          int lent = slots.lent();
          if (lent != Slots.NONE) {
            newest = slots.generation(lent);
            slots.sealed(lent);
            queue.add(lent);
          }
        }
        case 2 -> {
          Integer next = queue.poll();
          if (next != null) {
            slots.draining(next);
            draining.add(next);
          }
        }
        default -> {
          if (!draining.isEmpty()) {
            slots.ended(draining.removeFirst());
          }
        }
      }
      for (int slot : queue) {
        assertThat(slots.state(slot)).isEqualTo(SlotState.SEALED);
      }
      for (int slot : draining) {
        assertThat(slots.state(slot)).isEqualTo(SlotState.DRAINING);
      }
      assertThat(holds(slots, newest)).as("seed %d step %d", seed, step).isTrue();
    }
  }

  private static boolean holds(Slots slots, long generation) {
    for (int slot = 0; slot < slots.count(); slot++) {
      if (slots.generation(slot) == generation
          && slots.state(slot) != SlotState.FREE
          && slots.state(slot) != SlotState.LENT) {
        return true;
      }
    }
    return generation == 0;
  }
}
