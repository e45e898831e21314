package dev.keepstone.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class InterleavingsTest {
  private static final Path DIRECTORY = Path.of("/run");

  /// A counter that two actors increase by reading and writing it in two steps.
  private static final class Counter {
    int value;
  }

  private static Interleavings<Counter> increasing(int actors, int times) {
    Interleavings<Counter> all =
        Interleavings.of(Counter::new, counter -> String.valueOf(counter.value));
    for (int a = 0; a < actors; a++) {
      all.actor("actor " + a, (counter, turns) -> increase(counter, turns, times));
    }
    return all;
  }

  private static Integer increase(Counter counter, Turns turns, int times) {
    int read = 0;
    for (int i = 0; i < times; i++) {
      read = turns.take("read", () -> counter.value);
      int next = read + 1;
      turns.take("write " + next, () -> counter.value = next);
    }
    return read;
  }

  @Test
  void everyOrderIsTried() {
    Set<Integer> finals = new HashSet<>();
    Interleavings.Explored explored =
        increasing(2, 3).explore(100_000, (counter, outcomes) -> finals.add(counter.value));
    // A lost update may take away all but two of the six increments; never more, by a classic
    // proof.
    assertThat(finals).containsExactlyInAnyOrder(2, 3, 4, 5, 6);
    assertThat(explored.ends()).isGreaterThanOrEqualTo(finals.size());
  }

  @Test
  void aFailurePrintsTheScheduleThatLedToIt() {
    assertThatThrownBy(() ->
            increasing(2, 1)
                .explore(1000, (counter, outcomes) -> assertThat(counter.value).isEqualTo(2)))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("in this order:")
        .hasMessageContaining("actor 0: read -> 0")
        .hasMessageContaining("actor 1: read -> 0");
  }

  @Test
  void aBoundThatIsReachedIsAFailure() {
    assertThatThrownBy(() -> increasing(3, 3).explore(10, (counter, outcomes) -> {}))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("not every order was tried within 10 runs");
  }

  @Test
  void anActorMayDieBeforeEachOfItsSteps() {
    Set<Integer> finals = new HashSet<>();
    Set<Long> deaths = new HashSet<>();
    increasing(2, 1)
        .deaths(1)
        .explore(
            1000,
            (counter, outcomes) -> {
              finals.add(counter.value);
              deaths.add(outcomes.stream().filter(Interleavings.Outcome::died).count());
            });
    assertThat(deaths).containsExactlyInAnyOrder(0L, 1L);
    assertThat(finals).containsExactlyInAnyOrder(1, 2);
  }

  @Test
  void ordersThatNobodyCanTellApartAreFollowedOnce() {
    Interleavings<Counter> strangers =
        Interleavings.of(Counter::new, counter -> String.valueOf(counter.value));
    for (int a = 0; a < 3; a++) {
      strangers.actor(
          "actor " + a,
          (counter, turns) -> {
            for (int i = 0; i < 5; i++) {
              turns.take("idle", () -> "idle");
            }
            return "done";
          });
    }
    // 756,756 orders, 6 · 6 · 6 situations.
    assertThat(strangers.explore(1000, (counter, outcomes) -> {}).states()).isEqualTo(216);
  }

  @Test
  void anInvariantIsLookedAtAfterEveryStep() {
    assertThatThrownBy(() ->
            increasing(1, 3)
                .invariant(counter -> assertThat(counter.value).isLessThan(2))
                .explore(1000, (counter, outcomes) -> {}))
        .hasMessageContaining("write 2");
  }

  @Test
  void oneNameIsWonByExactlyOneLink() {
    Interleavings<MemoryDisk> linking =
        Interleavings.of(InterleavingsTest::directory, MemoryDisk::fingerprint);
    for (String writer : List.of("a", "b", "c")) {
      linking.actor(
          writer, (memory, turns) -> put(new TurnsDisk(memory, turns), writer) ? writer : "");
    }
    Interleavings.Explored explored =
        linking
            .deaths(1)
            .explore(
                50_000,
                (memory, outcomes) -> {
                  List<String> winners =
                      outcomes.stream()
                          .filter(outcome -> !outcome.died())
                          .map(outcome -> String.valueOf(outcome.result()))
                          .filter(result -> !result.isEmpty())
                          .toList();
                  assertThat(outcomes).allMatch(outcome -> outcome.failure() == null);
                  assertThat(winners).hasSizeLessThanOrEqualTo(1);
                  for (String winner : winners) {
                    assertThat(read(memory, DIRECTORY.resolve("name"))).isEqualTo(winner);
                  }
                });
    assertThat(explored.ends()).isGreaterThan(3);
  }

  private static MemoryDisk directory() {
    MemoryDisk disk = new MemoryDisk();
    try {
      disk.createDirectories(DIRECTORY);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return disk;
  }

  private static boolean put(Disk disk, String text) throws IOException {
    Path temporary = DIRECTORY.resolve(text + ".tmp");
    try (OpenFile file = disk.create(temporary)) {
      file.write(0, MemorySegment.ofArray(text.getBytes(UTF_8)));
      file.sync();
    }
    try {
      disk.link(temporary, DIRECTORY.resolve("name"));
      disk.syncDirectory(DIRECTORY);
      return true;
    } catch (FileAlreadyExistsException e) {
      return false;
    } finally {
      disk.delete(temporary);
    }
  }

  static String read(Disk disk, Path path) throws IOException {
    try (OpenFile file = disk.open(path)) {
      byte[] bytes = new byte[(int) file.size()];
      file.read(0, MemorySegment.ofArray(bytes));
      return new String(bytes, UTF_8);
    } catch (NoSuchFileException e) {
      return "";
    }
  }
}
