package dev.keepstone.core.bytes;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.charset.Charset;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.NoSuchElementException;
import java.util.Optional;

/// The few system calls of Linux that the JDK lacks. Numbers are those of the kernel's headers and
/// the same on every processor that Java runs on.
final class Libc {
  private static final int AT_FDCWD = -100;
  private static final int RENAME_NOREPLACE = 1;
  private static final int O_WRONLY = 1;
  private static final int O_CLOEXEC = 0x80000;

  private static final int EPERM = 1;
  private static final int ENOENT = 2;
  private static final int EINTR = 4;
  private static final int EACCES = 13;
  private static final int EEXIST = 17;
  private static final int EINVAL = 22;
  private static final int EMLINK = 31;
  private static final int ENOSYS = 38;
  private static final int EOPNOTSUPP = 95;

  /// What file names are encoded in, as the JDK has it for its own calls.
  private static final Charset NAMES =
      Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8"));

  private static final MemoryLayout STATE = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO =
      STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  /// Absent where this is not Linux, or where the JVM may not call native code. Last, because it
  /// needs the constants above.
  static final Optional<Libc> LINUX = find();

  private final MethodHandle open;
  private final MethodHandle close;
  private final MethodHandle fallocate;
  private final MethodHandle link;
  private final Optional<MethodHandle> renameat2;
  private final MethodHandle strerror;

  // Restricted because a wrong signature crashes the JVM; each stands beside its manual page's.
  @SuppressWarnings("restricted")
  private Libc(Linker linker) {
    SymbolLookup symbols = linker.defaultLookup();
    var text = ValueLayout.ADDRESS;
    Linker.Option errno = Linker.Option.captureCallState("errno");
    open =
        linker.downcallHandle(
            symbols.findOrThrow("open"), FunctionDescriptor.of(INT, text, INT), errno);
    close = linker.downcallHandle(symbols.findOrThrow("close"), FunctionDescriptor.of(INT, INT));
    fallocate =
        linker.downcallHandle(
            symbols.findOrThrow("fallocate"),
            FunctionDescriptor.of(INT, INT, INT, LONG, LONG),
            errno);
    link =
        linker.downcallHandle(
            symbols.findOrThrow("link"), FunctionDescriptor.of(INT, text, text), errno);
    renameat2 =
        symbols
            .find("renameat2")
            .map(symbol ->
                linker.downcallHandle(
                    symbol, FunctionDescriptor.of(INT, INT, text, INT, text, INT), errno));
    strerror =
        linker.downcallHandle(
            symbols.findOrThrow("strerror"),
            FunctionDescriptor.of(
                text.withTargetLayout(
                    MemoryLayout.sequenceLayout(Long.MAX_VALUE, ValueLayout.JAVA_BYTE)),
                INT));
  }

  private static Optional<Libc> find() {
    if (!System.getProperty("os.name", "").equals("Linux")) {
      return Optional.empty();
    }
    try {
      return Optional.of(new Libc(Linker.nativeLinker()));
    } catch (UnsupportedOperationException | IllegalCallerException | NoSuchElementException e) {
      return Optional.empty();
    }
  }

  /// Reserves the first `byteLength` bytes of a file, which becomes that long; does nothing where
  /// its file system cannot. `fallocate` and not `posix_fallocate`: the latter writes zeros where
  /// the file system cannot, twice the bytes instead of none.
  void reserve(Path file, long byteLength) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      MemorySegment name = name(arena, file);
      int descriptor = (int) open.invokeExact(state, name, O_WRONLY | O_CLOEXEC);
      if (descriptor < 0) {
        throw failure(errno(state), file);
      }
      try {
        while ((int) fallocate.invokeExact(state, descriptor, 0, 0L, byteLength) != 0) {
          int error = errno(state);
          if (error == EOPNOTSUPP || error == ENOSYS) {
            return;
          }
          if (error != EINTR) {
            throw failure(error, file);
          }
        }
      } finally {
        int ignored = (int) close.invokeExact(descriptor);
      }
    } catch (Throwable e) {
      throw thrown(e);
    }
  }

  /// @throws UnsupportedOperationException where the file system has no hard links
  void link(Path file, Path name) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      MemorySegment from = name(arena, file);
      MemorySegment to = name(arena, name);
      if ((int) link.invokeExact(state, from, to) != 0) {
        int error = errno(state);
        // FAT and exFAT answer EPERM; a full link count is as good as none.
        if (error == EPERM || error == EMLINK || error == EOPNOTSUPP || error == ENOSYS) {
          throw new UnsupportedOperationException("hard link " + name + ": " + words(error));
        }
        throw failure(error, error == ENOENT ? file : name);
      }
    } catch (Throwable e) {
      throw thrown(e);
    }
  }

  /// @throws UnsupportedOperationException where kernel or file system cannot
  void renameToFree(Path file, Path name) throws IOException {
    MethodHandle rename =
        renameat2.orElseThrow(() -> new UnsupportedOperationException("renameat2 is missing"));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      MemorySegment from = name(arena, file);
      MemorySegment to = name(arena, name);
      if ((int) rename.invokeExact(state, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0) {
        int error = errno(state);
        if (error == EINVAL || error == EOPNOTSUPP || error == ENOSYS) {
          throw new UnsupportedOperationException("rename to " + name + ": " + words(error));
        }
        throw failure(error, error == ENOENT ? file : name);
      }
    } catch (Throwable e) {
      throw thrown(e);
    }
  }

  private static MemorySegment name(Arena arena, Path path) {
    return arena.allocateFrom(path.toString(), NAMES);
  }

  private static int errno(MemorySegment state) {
    return (int) ERRNO.get(state, 0L);
  }

  private IOException failure(int error, Path path) throws Throwable {
    return switch (error) {
      case ENOENT -> new NoSuchFileException(path.toString());
      case EEXIST -> new FileAlreadyExistsException(path.toString());
      case EACCES -> new AccessDeniedException(path.toString());
      default -> new FileSystemException(path.toString(), null, words(error));
    };
  }

  private String words(int error) throws Throwable {
    return ((MemorySegment) strerror.invokeExact(error)).getString(0);
  }

  /// Method handles declare Throwable; nothing but these comes out of a system call.
  private static IllegalStateException thrown(Throwable e) throws IOException {
    if (e instanceof IOException io) {
      throw io;
    }
    if (e instanceof RuntimeException runtime) {
      throw runtime;
    }
    if (e instanceof Error error) {
      throw error;
    }
    return new IllegalStateException("system call", e);
  }
}
