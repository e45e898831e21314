package dev.keepstone.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ShuffleTest {
  /// Three actors of ten steps each, and what was left of them in which order.
  private static List<String> order(long seed, int steps, boolean kill) {
    List<String> order = new ArrayList<>();
    Shuffle.play(
        Seeds.random(seed),
        shuffle -> {
          for (String name : List.of("a", "b", "c")) {
            shuffle.begin(
                name,
                turns -> {
                  for (int i = 0; i < 10; i++) {
                    int step = i;
                    turns.take("step " + i, () -> order.add(name + step));
                  }
                  return name;
                });
          }
          if (kill) {
            shuffle.go(5);
            shuffle.kill();
            assertThat(shuffle.outcomes()).anyMatch(Interleavings.Outcome::died);
          }
          shuffle.go(steps);
        });
    return order;
  }

  @Test
  void aSeedGivesOneOrderAndOtherSeedsOthers() {
    Set<List<String>> orders = new HashSet<>();
    for (long seed = 1; seed <= 20; seed++) {
      List<String> order = order(seed, 1000, false);
      assertThat(order).hasSize(30).isEqualTo(order(seed, 1000, false));
      orders.add(order);
    }
    assertThat(orders).hasSizeGreaterThan(10);
  }

  @Test
  void noMoreStepsAreMadeThanAskedForAndTheDeadMakeNone() {
    assertThat(order(1, 7, false)).hasSize(7);
    assertThat(order(1, 1000, true)).hasSizeBetween(10, 29);
  }

  @Test
  void aFailureTellsTheLastSteps() {
    assertThatThrownBy(() ->
            Shuffle.play(
                Seeds.random(1),
                shuffle -> {
                  shuffle.begin("a", turns -> turns.take("look", () -> "seen"));
                  shuffle.go(1);
                  assertThat(shuffle.outcomes()).isEmpty();
                }))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("a: look -> seen");
  }
}
