package dev.keepstone.agent.drain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

final class GentlyTest {
  /// The nice value of the calling thread, as the kernel tells it.
  private static int nice() throws IOException {
    String stat = Files.readString(Path.of("/proc/thread-self/stat"));
    // The name, in parentheses, may hold spaces; the nice value is the 19th field.
    return Integer.parseInt(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[16]);
  }

  @Test
  void theWorkAndTheThreadsItStartsAreNiceAndTheCallerIsNot() throws Exception {
    int before = nice();
    int[] found = new int[2];
    int answer =
        Gently.call(() -> {
          found[0] = nice();
          Thread child =
              Thread.ofPlatform()
                  .start(() -> {
                    try {
                      found[1] = nice();
                    } catch (IOException e) {
                      throw new AssertionError(e);
                    }
                  });
          child.join();
          return 42;
        });
    assertThat(answer).isEqualTo(42);
    assertThat(found).containsOnly(Math.max(10, before));
    assertThat(nice()).isEqualTo(before);
  }

  @Test
  void aFailureIsTheCallersAsItIs() {
    KeepstoneException.NoSpace full = new KeepstoneException.NoSpace("full", "disk", "make room");
    assertThatExceptionOfType(KeepstoneException.NoSpace.class)
        .isThrownBy(() ->
            Gently.call(() -> {
              throw full;
            }))
        .isSameAs(full);
  }

  @Test
  void anInterruptEndsTheWorkBeforeTheCallerGoesOn() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    AtomicBoolean interrupted = new AtomicBoolean();
    AtomicBoolean ended = new AtomicBoolean();
    Thread caller =
        Thread.ofPlatform()
            .start(() -> {
              try {
                Gently.call(() -> {
                  begun.countDown();
                  try {
                    new CountDownLatch(1).await();
                  } finally {
                    ended.set(true);
                  }
                  return 0;
                });
              } catch (InterruptedException e) {
                interrupted.set(ended.get());
              }
            });
    begun.await();
    caller.interrupt();
    caller.join();
    assertThat(interrupted).isTrue();
  }
}
