package dev.keepstone.agent.drain;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

final class PaceTest {
  private final AtomicLong now = new AtomicLong();

  @Test
  void withoutALimitNothingIsOwed() throws InterruptedException {
    Pace pace = new Pace(now::get);
    pace.take(1L << 40);
    pace.take(1L << 40);
    assertThat(pace.limited()).isFalse();
  }

  @Test
  void theFirstBlockPassesAndTheNextWaitsForItsPayment() throws InterruptedException {
    Pace pace = new Pace(now::get);
    pace.limit(1000L);
    pace.take(1000);
    Thread second = taking(pace, 1);
    assertThat(second.join(java.time.Duration.ofMillis(50))).isFalse();
    now.addAndGet(TimeUnit.SECONDS.toNanos(1));
    assertThat(second.join(java.time.Duration.ofSeconds(10))).isTrue();
  }

  @Test
  void aWaitingBlockPassesAtOnceWhenTheLimitIsTakenAway() throws InterruptedException {
    Pace pace = new Pace(now::get);
    pace.limit(1L);
    pace.take(1L << 30);
    Thread second = taking(pace, 1);
    pace.limit(null);
    assertThat(second.join(java.time.Duration.ofSeconds(10))).isTrue();
  }

  @Test
  void aWaitingBlockPassesWhileTheLimitIsLiftedAndTheLimitComesBack() throws InterruptedException {
    Pace pace = new Pace(now::get);
    pace.limit(1L);
    pace.take(1L << 30);
    Thread second = taking(pace, 1);
    pace.lift();
    assertThat(second.join(java.time.Duration.ofSeconds(10))).isTrue();
    assertThat(pace.limited()).isFalse();
    pace.lower();
    assertThat(pace.limited()).isTrue();
  }

  private static Thread taking(Pace pace, long bytes) throws InterruptedException {
    CountDownLatch begun = new CountDownLatch(1);
    Thread thread =
        Thread.ofPlatform()
            .daemon()
            .start(() -> {
              begun.countDown();
              try {
                pace.take(bytes);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    begun.await();
    return thread;
  }
}
