package dev.keepstone.testkit;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/// Where actors play: a virtual thread, because handing over between those costs a microsecond and
/// to a platform thread twenty.
final class Stage {
  private Stage() {}

  /// Runs to the end and gives the result.
  ///
  /// @throws AssertionError as thrown there, or with what else was thrown there as its cause
  static <T> T play(String name, Callable<T> scene) {
    FutureTask<T> task = new FutureTask<>(scene);
    Thread.ofVirtual().name(name).start(task);
    try {
      return task.get();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof AssertionError error
          ? error
          : new AssertionError(name + " broke", e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted", e);
    }
  }
}
