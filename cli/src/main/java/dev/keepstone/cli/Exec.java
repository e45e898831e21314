package dev.keepstone.cli;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Optional;

/// Another program in the place of this process, under its process id: signals, and whoever waits
/// for this process, reach it without a go-between.
final class Exec {
  private Exec() {}

  /// Does not return where it works.
  @SuppressWarnings("restricted")
  static void replace(List<String> command) {
    Linker linker = Linker.nativeLinker();
    Optional<MemorySegment> found = linker.defaultLookup().find("execv");
    if (found.isEmpty()) {
      return;
    }
    MethodHandle execv =
        linker.downcallHandle(found.get(), FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment arguments = arena.allocate(ADDRESS, command.size() + 1L);
      for (int i = 0; i < command.size(); i++) {
        arguments.setAtIndex(ADDRESS, i, arena.allocateFrom(command.get(i)));
      }
      arguments.setAtIndex(ADDRESS, command.size(), MemorySegment.NULL);
      int _ = (int) execv.invokeExact(arena.allocateFrom(command.getFirst()), arguments);
    } catch (Throwable e) {
      throw new IllegalStateException("execv", e);
    }
  }
}
