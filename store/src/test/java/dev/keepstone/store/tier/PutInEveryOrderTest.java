package dev.keepstone.store.tier;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.keepstone.testkit.Interleavings;
import dev.keepstone.testkit.MemoryDisk;
import dev.keepstone.testkit.SettableClock;
import dev.keepstone.testkit.Turns;
import dev.keepstone.testkit.TurnsDisk;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Two writers put one name, act by act on the disk, in every order, and one of them may die
/// between any two acts.
class PutInEveryOrderTest {
  private static final Path ROOT = Path.of("/store");
  private static final String NAME = "name.json";

  private static LocalTier tier(MemoryDisk memory, Turns turns, String nonce) {
    AtomicLong seconds = new AtomicLong();
    StoreClock clock =
        StoreClock.of(
            SettableClock.atStart(),
            () -> Duration.ofSeconds(seconds.incrementAndGet()).toNanos(),
            time -> {});
    return new LocalTier(new TurnsDisk(memory, turns), ROOT, clock, nonce, Duration.ZERO);
  }

  private static String told(Put put) {
    return switch (put) {
      case Put.Committed() -> "committed";
      case Put.Lost(byte[] standing) -> "lost to " + new String(standing, UTF_8);
      case Put.Unknown(String why) -> "unknown: " + why;
    };
  }

  @ParameterizedTest
  @CsvSource({"one, one", "one, two"})
  void aNameGetsTheBytesOfOneWriterAndTheOtherIsToldWhich(String first, String second) {
    List<String> texts = List.of(first, second);
    Interleavings<MemoryDisk> putting =
        Interleavings.of(MemoryDisk::new, MemoryDisk::fingerprint)
            .actor(
                "a",
                (memory, turns) ->
                    told(tier(memory, turns, "aaaaaaaa").put(NAME, first.getBytes(UTF_8))))
            .actor(
                "b",
                (memory, turns) ->
                    told(tier(memory, turns, "bbbbbbbb").put(NAME, second.getBytes(UTF_8))))
            .deaths(1);
    Interleavings.Explored explored =
        putting.explore(
            20_000,
            (memory, outcomes) -> {
              Optional<byte[]> bytes =
                  Optional.ofNullable(LocalTier.readAll(memory, ROOT.resolve(NAME), NAME));
              Optional<String> standing = bytes.map(found -> new String(found, UTF_8));
              for (int actor = 0; actor < 2; actor++) {
                Interleavings.Outcome outcome = outcomes.get(actor);
                assertThat(outcome.failure()).isNull();
                if (!outcome.died()) {
                  String text = texts.get(actor);
                  assertThat(standing).isPresent();
                  assertThat(outcome.result())
                      .isEqualTo(
                          standing.get().equals(text) ? "committed" : "lost to " + standing.get());
                }
              }
              standing.ifPresent(text -> assertThat(texts).contains(text));
            });
    assertThat(explored.ends()).isGreaterThan(1);
  }
}
