package dev.keepstone.segment.memory;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/// The C library's calls, one method each. Those that fail throw a [SystemError] with the call's
/// name and `errno`.
///
/// Constants are those of Linux on x86-64 and AArch64, where they agree; `O_NOFOLLOW` does not, so
/// it is not used.
@SuppressWarnings("restricted")
final class CLibrary {
  static final int O_RDONLY = 0;
  static final int O_RDWR = 2;
  static final int O_CREAT = 0x40;
  static final int O_EXCL = 0x80;
  // Opening a FIFO that lies where a file should would wait for its writer for ever.
  static final int O_NONBLOCK = 0x800;
  static final int O_CLOEXEC = 0x80000;

  static final int PROT_READ = 1;
  static final int PROT_WRITE = 2;
  private static final int MAP_SHARED = 1;

  static final int MADV_POPULATE_READ = 22;
  static final int MADV_POPULATE_WRITE = 23;

  static final int F_GETLK = 5;
  static final int F_SETLK = 6;

  private static final int SEEK_END = 2;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final Linker.Option ERRNO = Linker.Option.captureCallState("errno");
  private static final StructLayout STATE = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO_VALUE =
      STATE.varHandle(StructLayout.PathElement.groupElement("errno"));

  private static final MethodHandle OPEN =
      variadic("open", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
  private static final MethodHandle FCNTL =
      variadic("fcntl", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
  private static final MethodHandle CLOSE =
      call("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
  private static final MethodHandle LSEEK =
      call("lseek", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_INT));
  private static final MethodHandle FALLOCATE =
      LINKER.downcallHandle(
          LINKER.defaultLookup().findOrThrow("posix_fallocate"),
          FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG));
  private static final MethodHandle MMAP =
      call(
          "mmap",
          FunctionDescriptor.of(
              ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
  private static final MethodHandle MUNMAP =
      call("munmap", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));
  private static final MethodHandle MADVISE =
      call("madvise", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
  private static final MethodHandle STRERROR =
      LINKER.downcallHandle(
          LINKER.defaultLookup().findOrThrow("strerror"), FunctionDescriptor.of(ADDRESS, JAVA_INT));
  private static final MethodHandle GETEUID =
      LINKER.downcallHandle(
          LINKER.defaultLookup().findOrThrow("geteuid"), FunctionDescriptor.of(JAVA_INT));

  private CLibrary() {}

  private static MethodHandle call(String name, FunctionDescriptor types) {
    return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), types, ERRNO);
  }

  /// The third argument of `open` and `fcntl` is variadic, which some ABIs pass otherwise.
  private static MethodHandle variadic(String name, FunctionDescriptor types) {
    return LINKER.downcallHandle(
        LINKER.defaultLookup().findOrThrow(name), types, ERRNO, Linker.Option.firstVariadicArg(2));
  }

  /// @return a file descriptor
  static int open(Path file, int flags, int mode) throws SystemError {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      int descriptor =
          (int) OPEN.invokeExact(state, arena.allocateFrom(file.toString()), flags, mode);
      return (int) checked(descriptor, "open", state);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  static void close(int descriptor) {
    try (Arena arena = Arena.ofConfined()) {
      // Whatever it answers, the descriptor is gone: closing again could close another's.
      int _ = (int) CLOSE.invokeExact(arena.allocate(STATE), descriptor);
    } catch (Throwable e) {
      throw new IllegalStateException("close", e);
    }
  }

  static long size(int descriptor) throws SystemError {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      return checked((long) LSEEK.invokeExact(state, descriptor, 0L, SEEK_END), "lseek", state);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  /// Reserves `byteLength` bytes from the start; the file grows to them.
  static void fallocate(int descriptor, long byteLength) throws SystemError {
    int errno;
    try {
      do {
        errno = (int) FALLOCATE.invokeExact(descriptor, 0L, byteLength);
      } while (errno == SystemError.EINTR);
    } catch (Throwable e) {
      throw rethrow(e);
    }
    if (errno != 0) {
      throw new SystemError("fallocate", errno, words(errno));
    }
  }

  /// Maps a whole file, shared.
  static MemorySegment mmap(int descriptor, long byteLength, int protection) throws SystemError {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      MemorySegment address =
          (MemorySegment)
              MMAP.invokeExact(
                  state, MemorySegment.NULL, byteLength, protection, MAP_SHARED, descriptor, 0L);
      checked(address.address(), "mmap", state);
      return address;
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  static void munmap(MemorySegment mapping) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      checked((int) MUNMAP.invokeExact(state, mapping, mapping.byteSize()), "munmap", state);
    } catch (Throwable e) {
      throw new IllegalStateException("munmap", e);
    }
  }

  static void madvise(MemorySegment mapping, int advice) throws SystemError {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      checked(
          (int) MADVISE.invokeExact(state, mapping, mapping.byteSize(), advice), "madvise", state);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  static void fcntl(int descriptor, int command, MemorySegment argument) throws SystemError {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(STATE);
      checked((int) FCNTL.invokeExact(state, descriptor, command, argument), "fcntl", state);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  static int effectiveUser() {
    try {
      return (int) GETEUID.invokeExact();
    } catch (Throwable e) {
      throw new IllegalStateException("geteuid", e);
    }
  }

  private static long checked(long result, String call, MemorySegment state) throws SystemError {
    if (result == -1) {
      int errno = (int) ERRNO_VALUE.get(state, 0L);
      throw new SystemError(call, errno, words(errno));
    }
    return result;
  }

  private static String words(int errno) {
    try {
      MemorySegment text = (MemorySegment) STRERROR.invokeExact(errno);
      return text.reinterpret(Long.MAX_VALUE).getString(0, StandardCharsets.US_ASCII);
    } catch (Throwable e) {
      throw new IllegalStateException("strerror", e);
    }
  }

  private static SystemError rethrow(Throwable e) {
    return switch (e) {
      case SystemError error -> error;
      case RuntimeException error -> throw error;
      case Error error -> throw error;
      default -> throw new IllegalStateException("a call of the C library", e);
    };
  }
}
