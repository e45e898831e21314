package dev.keepstone.agent.place;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/// A session of its own, so that a signal to the launcher's process group, or the end of its
/// terminal, does not reach the agent.
public final class Session {
  private Session() {}

  /// Leaves the session of whoever started this process.
  ///
  /// @return false where this process leads its group already, which a child never does
  public static boolean leave() {
    Linker linker = Linker.nativeLinker();
    MethodHandle setsid =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("setsid"),
            FunctionDescriptor.of(ValueLayout.JAVA_INT));
    try {
      return (int) setsid.invokeExact() > 0;
    } catch (Throwable e) {
      throw new IllegalStateException("setsid", e);
    }
  }
}
