package dev.keepstone.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.MessageDigest;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// One actor in one run of [Interleavings]: a thread that goes from turn to turn when told to.
///
/// Never more than one thread runs, the explorer's included; the semaphores hand over and order
/// memory.
final class Performance implements Turns {
  /// An actor that needs longer than this between two turns waits for something that only another
  /// actor could give it.
  private static final int PATIENCE_SECONDS = 60;

  private final String name;
  private final Semaphore go = new Semaphore(0);
  private final Semaphore back = new Semaphore(0);
  private byte[] history = new byte[0];
  private @Nullable String pending;
  private String lastResult = "";
  private boolean dead;
  private @Nullable Object result;
  private @Nullable Throwable failure;

  Performance(String name) {
    this.name = name;
    // As long as any later one: an empty history would let two actors' histories, one after the
    // other, be read as those of the other way round.
    saw(name);
  }

  /// Runs up to the first turn.
  void begin(Script script) {
    Thread.ofVirtual().name(name).start(() -> play(script));
    await();
  }

  private void play(Script script) {
    try {
      result = script.play(this);
      saw("ends with " + Interleavings.render(result));
    } catch (Died e) {
      saw("died");
    } catch (Throwable e) {
      failure = e;
      saw("ends with " + Interleavings.render(e));
    } finally {
      pending = null;
      back.release();
    }
  }

  /// Takes the turn that is waited for, or dies before it, and runs up to the next.
  void go(boolean death) {
    dead |= death;
    pending = null;
    go.release();
    await();
  }

  /// Ends the thread of a run that nobody follows further.
  void abandon() {
    if (waiting()) {
      go(true);
    }
  }

  private void await() {
    try {
      if (!back.tryAcquire(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
        throw new AssertionError(name + " waits for something other than its turn");
      }
    } catch (InterruptedException e) {
      throw new AssertionError("interrupted", e);
    }
  }

  @Override
  public <T extends @Nullable Object, E extends Exception> T take(String step, Act<T, E> act)
      throws E {
    requireAlive();
    pending = step;
    back.release();
    go.acquireUninterruptibly();
    requireAlive();
    try {
      T seen = act.run();
      lastResult = Interleavings.render(seen);
      return seen;
    } catch (Exception e) {
      lastResult = Interleavings.render(e);
      throw e;
    } finally {
      saw(step + " -> " + lastResult);
    }
  }

  @Override
  public void requireAlive() {
    if (dead) {
      throw new Died();
    }
  }

  @Override
  public void saw(String event) {
    MessageDigest digest = Interleavings.sha256();
    digest.update(history);
    history = digest.digest(event.getBytes(UTF_8));
  }

  String name() {
    return name;
  }

  boolean waiting() {
    return pending != null;
  }

  String pending() {
    return String.valueOf(pending);
  }

  String lastResult() {
    return lastResult;
  }

  /// A digest of everything this actor has seen.
  byte[] history() {
    return history;
  }

  Interleavings.Outcome outcome() {
    return new Interleavings.Outcome(name, dead, result, failure);
  }
}
