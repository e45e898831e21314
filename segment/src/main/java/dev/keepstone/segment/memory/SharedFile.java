package dev.keepstone.segment.memory;

import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.file.Files;
import java.nio.file.Path;

/// A file that is mapped whole, for memory that several processes share.
///
/// A new one is reserved, then mapped, then faulted in, in this order: reserving tells a lack of
/// space as an error where the first store would raise SIGBUS, and populating after it takes a
/// tenth of the time. After that no store into it faults.
public final class SharedFile implements AutoCloseable {
  private static final int MODE = 0600;
  private static final long PAGE_BYTES = 4096;
  private static final VarHandle BYTE = ValueLayout.JAVA_BYTE.varHandle();

  private final Path path;
  private final Arena arena;
  private final MemorySegment bytes;

  private SharedFile(Path path, Arena arena, MemorySegment bytes) {
    this.path = path;
    this.arena = arena;
    this.bytes = bytes;
  }

  /// Makes a new file of zeros, mode 0600; nothing is left of it where that fails.
  ///
  /// @throws KeepstoneException.NoSpace where the file system cannot hold it
  /// @throws KeepstoneException.Failed where the name is taken
  public static SharedFile create(Path path, long byteLength) {
    requirePositive(byteLength, path);
    int descriptor;
    try {
      descriptor =
          CLibrary.open(
              path,
              CLibrary.O_RDWR | CLibrary.O_CREAT | CLibrary.O_EXCL | CLibrary.O_CLOEXEC,
              MODE);
    } catch (SystemError e) {
      throw e.on("create shared memory", path);
    }
    boolean done = false;
    try {
      CLibrary.fallocate(descriptor, byteLength);
      SharedFile file = map(path, descriptor, byteLength, true);
      try {
        file.populate();
        done = true;
        return file;
      } finally {
        if (!done) {
          file.close();
        }
      }
    } catch (SystemError e) {
      throw e.on("reserve " + byteLength + " bytes of shared memory, " + found(path), path);
    } finally {
      CLibrary.close(descriptor);
      if (!done) {
        unlink(path);
      }
    }
  }

  /// Maps an existing file for reading and writing.
  public static SharedFile openWritable(Path path) {
    return open(path, true);
  }

  /// Maps an existing file; a store into it throws.
  public static SharedFile openReadOnly(Path path) {
    return open(path, false);
  }

  private static SharedFile open(Path path, boolean writable) {
    if (Files.isSymbolicLink(path)) {
      throw new KeepstoneException.Refused(
          "expected a file of shared memory, found a symbolic link",
          path.toString(),
          "remove the link");
    }
    try {
      int descriptor =
          CLibrary.open(
              path,
              (writable ? CLibrary.O_RDWR : CLibrary.O_RDONLY)
                  | CLibrary.O_CLOEXEC
                  | CLibrary.O_NONBLOCK,
              0);
      try {
        long byteLength = CLibrary.size(descriptor);
        requirePositive(byteLength, path);
        return map(path, descriptor, byteLength, writable);
      } finally {
        CLibrary.close(descriptor);
      }
    } catch (SystemError e) {
      throw e.on("map shared memory", path);
    }
  }

  @SuppressWarnings("restricted")
  private static SharedFile map(Path path, int descriptor, long byteLength, boolean writable)
      throws SystemError {
    int protection = CLibrary.PROT_READ | (writable ? CLibrary.PROT_WRITE : 0);
    MemorySegment address = CLibrary.mmap(descriptor, byteLength, protection);
    Arena arena = Arena.ofShared();
    MemorySegment bytes = address.reinterpret(byteLength, arena, CLibrary::munmap);
    return new SharedFile(path, arena, writable ? bytes : bytes.asReadOnly());
  }

  public Path path() {
    return path;
  }

  /// The whole file. Gone after [#close].
  public MemorySegment bytes() {
    return bytes;
  }

  /// Faults all pages in, so that no later access does: a fresh mapping of resident memory is
  /// otherwise read and written at a fifth of the speed. Blocks for about 0.1 s per GiB and holds
  /// no other thread up.
  public void populate() {
    populate(0, bytes.byteSize());
  }

  /// Faults the pages of a range in.
  public void populate(long from, long byteLength) {
    long start = from / PAGE_BYTES * PAGE_BYTES;
    MemorySegment range = bytes.asSlice(start, from + byteLength - start);
    try {
      populate(range);
    } catch (SystemError e) {
      throw e.on("fault in " + range.byteSize() + " bytes of shared memory", path);
    }
  }

  private static void populate(MemorySegment range) throws SystemError {
    try {
      CLibrary.madvise(
          range, range.isReadOnly() ? CLibrary.MADV_POPULATE_READ : CLibrary.MADV_POPULATE_WRITE);
    } catch (SystemError e) {
      if (e.errno() != SystemError.EINVAL) {
        throw e;
      }
      // Linux before 5.14. Reading is enough: the pages of a reserved file are there already, and
      // writing here would race with a process that uses them.
      // A plain read whose value nobody uses would be optimised away.
      for (long at = 0; at < range.byteSize(); at += PAGE_BYTES) {
        byte _ = (byte) BYTE.getVolatile(range, at);
      }
    }
  }

  /// Removes the file's name. Mappings stay.
  public void unlink() {
    unlink(path);
  }

  private static void unlink(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "remove shared memory", path.toString());
    }
  }

  /// Unmaps. The file stays until [#unlink].
  @Override
  public void close() {
    arena.close();
  }

  private static void requirePositive(long byteLength, Path path) {
    if (byteLength <= 0) {
      throw new KeepstoneException.Integrity(
          "expected at least one byte of shared memory, found " + byteLength,
          path.toString(),
          "remove the file");
    }
  }

  private static String found(Path path) {
    try {
      Path directory = path.toAbsolutePath().getParent();
      return "found " + Files.getFileStore(directory == null ? path : directory).getUsableSpace();
    } catch (IOException e) {
      return "found less";
    }
  }
}
