package dev.keepstone.store.due;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.object.Due;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.tier.LocalTier;
import dev.keepstone.store.tier.StoreClock;
import dev.keepstone.testkit.MemoryDisk;
import dev.keepstone.testkit.SettableClock;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

final class DueStepsTest {
  private static final Path ROOT = Path.of("/store");

  private final AtomicLong nanos = new AtomicLong();
  private final StoreClock clock =
      StoreClock.of(
          new SettableClock(Instant.parse("2026-11-24T07:30:00Z")),
          nanos::get,
          time -> nanos.addAndGet(time.toNanos()));
  private final Disk disk = new MemoryDisk();

  private DueSteps steps(String nonce, int start) {
    LocalTier tier = new LocalTier(disk, ROOT, clock, nonce, Duration.ZERO);
    Run run = StoreRoot.openOrMake(tier, clock).runOrMake("run", clock, new Random(1));
    return new DueSteps(run, start, clock);
  }

  @Test
  void whoeverProposesSecondTakesTheStepOfTheFirst() {
    DueSteps one = steps("00000001", 1);
    DueSteps two = steps("00000002", 1);
    assertThat(one.find(1)).isEmpty();
    Due first = one.propose(1, 40, 1, "preemption", "00000001");
    assertThat(two.propose(1, 55, 1, "preemption", "00000002")).isEqualTo(first);
    assertThat(two.find(1)).hasValue(first);
    assertThat(first.id()).hasToString("1-40");
  }

  @Test
  void theNewestIsTheLastOfThoseThatStand() {
    DueSteps steps = steps("00000001", 1);
    assertThat(steps.newest(0)).isEmpty();
    steps.propose(1, 40, 1, "asked", "00000001");
    Due second = steps.propose(2, 44, 2, "asked", "00000001");
    assertThat(steps.newest(0)).hasValue(second);
    assertThat(steps.newest(1)).hasValue(second);
    assertThat(steps.newest(2)).isEmpty();
  }

  @Test
  void anotherStartHasNumbersOfItsOwn() {
    steps("00000001", 1).propose(1, 40, 1, "asked", "00000001");
    assertThat(steps("00000001", 2).find(1)).isEmpty();
    assertThat(steps("00000001", 2).ask()).isEqualTo(1);
  }

  @Test
  void twoWhoAskAtOnceAskForTheSame() {
    DueSteps one = steps("00000001", 1);
    assertThat(one.asked(1)).isFalse();
    assertThat(one.ask()).isEqualTo(1);
    assertThat(steps("00000002", 1).ask()).isEqualTo(1);
    assertThat(one.asked(1)).isTrue();
    one.propose(1, 40, 1, "asked", "00000001");
    assertThat(one.ask()).isEqualTo(2);
  }

  @Test
  void whatWasCopiedUnderAnotherNumberIsNotBelieved() {
    DueSteps steps = steps("00000001", 1);
    Due due = steps.propose(1, 40, 1, "asked", "00000001");
    steps.run().tier().put(steps.run().names().due(1, 2), due.encode());
    assertThatExceptionOfType(KeepstoneException.Integrity.class)
        .isThrownBy(() -> steps.find(2))
        .withMessageContaining("number 2");
  }
}
