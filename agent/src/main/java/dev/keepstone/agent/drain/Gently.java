package dev.keepstone.agent.drain;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/// Work at low CPU and I/O priority, in a thread of its own: a thread that has lowered its priority
/// may not raise it again, and threads that it starts inherit it.
final class Gently {
  /// Half way from ordinary to last.
  private static final int NICE = 10;

  private static final int PRIO_PROCESS = 0;
  private static final int IOPRIO_WHO_PROCESS = 1;

  /// Best effort, the last of its eight levels.
  private static final int LAST_OF_BEST_EFFORT = 2 << 13 | 7;

  private static final long IOPRIO_SET =
      System.getProperty("os.arch", "").equals("aarch64") ? 30 : 251;

  /// 0 is the calling thread.
  private static final int SELF = 0;

  private Gently() {}

  /// Calls, and waits for what comes of it. An interrupt is passed on, and waited for too: nothing
  /// of the call goes on after this.
  static <T> T call(Callable<T> body) throws InterruptedException {
    FutureTask<T> task = new FutureTask<>(body);
    Thread thread =
        Thread.ofPlatform()
            .daemon()
            .name("drain-gently")
            .start(() -> {
              lower();
              task.run();
            });
    try {
      return task.get();
    } catch (InterruptedException e) {
      thread.interrupt();
      end(thread);
      throw e;
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case InterruptedException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException("drain", e.getCause());
      }
    }
  }

  private static void end(Thread thread) {
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException _) {
        // The caller is told of an interrupt already.
      }
    }
  }

  /// What the system refuses stays as it is: a drain at ordinary priority is better than none.
  @SuppressWarnings("restricted")
  private static void lower() {
    Linker linker = Linker.nativeLinker();
    MethodHandle nice =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("setpriority"),
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
    MethodHandle system =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("syscall"),
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT),
            Linker.Option.firstVariadicArg(1));
    try {
      int _ = (int) nice.invokeExact(PRIO_PROCESS, SELF, NICE);
      long _ = (long) system.invokeExact(IOPRIO_SET, IOPRIO_WHO_PROCESS, SELF, LAST_OF_BEST_EFFORT);
    } catch (Throwable e) {
      throw new IllegalStateException("setpriority", e);
    }
  }
}
