package dev.keepstone.segment.memory;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// A POSIX record lock over a whole file: held by one process, not inherited by its forks, ended
/// with it. Where the end of a connection tells little (forked data-loader workers keep it open),
/// the end of the lock tells death.
///
/// Closing **any** descriptor of the file ends the process's lock on it: nothing else in this
/// process may open a locked file, not even to read it. [#probe] and [#tryTake] know the locks of
/// this process and leave such files closed.
public final class RecordLock implements AutoCloseable {
  private static final int MODE = 0600;
  private static final short F_WRLCK = 1;
  private static final short F_UNLCK = 2;

  // struct flock of 64-bit Linux.
  private static final MemoryLayout FLOCK =
      MemoryLayout.structLayout(
          JAVA_SHORT.withName("l_type"),
          JAVA_SHORT.withName("l_whence"),
          MemoryLayout.paddingLayout(4),
          JAVA_LONG.withName("l_start"),
          JAVA_LONG.withName("l_len"),
          JAVA_INT.withName("l_pid"),
          MemoryLayout.paddingLayout(4));
  private static final long PID_AT =
      FLOCK.byteOffset(MemoryLayout.PathElement.groupElement("l_pid"));

  // Record locks belong to the process, so what is known of them does too. By inode, since a file
  // may be named in several ways. Guards every open and close below as well: closing one descriptor
  // while another thread takes the lock would end it at once.
  private static final Set<Object> HELD_HERE = new HashSet<>();

  private final Path path;
  private final Object file;
  private final int descriptor;
  private boolean open = true;

  private RecordLock(Path path, Object file, int descriptor) {
    this.path = path;
    this.file = file;
    this.descriptor = descriptor;
  }

  /// Who holds a lock.
  public sealed interface Holder {
    /// Nobody, or the file is not there.
    record Nobody() implements Holder {}

    /// A process; its id is 0 or negative where that cannot be known in this PID namespace.
    record Held(long pid) implements Holder {}
  }

  /// Takes the lock, making the file (mode 0600) where it is missing. Who holds a lock may remove
  /// its file.
  ///
  /// @return empty where another process, or this one, holds it
  public static Optional<RecordLock> tryTake(Path path) {
    synchronized (HELD_HERE) {
      try {
        while (true) {
          Object existing = inode(path);
          if (existing != null && HELD_HERE.contains(existing)) {
            return Optional.empty();
          }
          int descriptor =
              CLibrary.open(
                  path,
                  CLibrary.O_RDWR | CLibrary.O_CREAT | CLibrary.O_CLOEXEC | CLibrary.O_NONBLOCK,
                  MODE);
          Object file = null;
          try {
            if (!lock(descriptor)) {
              return Optional.empty();
            }
            // The file may have been removed between opening and locking it: then others lock the
            // one that has the name now, and this lock keeps nobody out.
            Object opened = inode(Path.of("/proc/self/fd/" + descriptor));
            file = opened != null && opened.equals(inode(path)) ? opened : null;
          } finally {
            if (file == null) {
              CLibrary.close(descriptor);
            }
          }
          if (file != null) {
            HELD_HERE.add(file);
            return Optional.of(new RecordLock(path, file, descriptor));
          }
        }
      } catch (SystemError e) {
        throw e.on("take a lock", path);
      }
    }
  }

  private static boolean lock(int descriptor) throws SystemError {
    try (Arena arena = Arena.ofConfined()) {
      CLibrary.fcntl(descriptor, CLibrary.F_SETLK, wholeFile(arena));
      return true;
    } catch (SystemError e) {
      if (e.errno() == SystemError.EAGAIN || e.errno() == SystemError.EACCES) {
        return false;
      }
      throw e;
    }
  }

  /// Who holds the lock, without touching it.
  public static Holder probe(Path path) {
    synchronized (HELD_HERE) {
      Object file = inode(path);
      if (file == null) {
        return new Holder.Nobody();
      }
      if (HELD_HERE.contains(file)) {
        return new Holder.Held(ProcessHandle.current().pid());
      }
      try (Arena arena = Arena.ofConfined()) {
        int descriptor =
            CLibrary.open(path, CLibrary.O_RDONLY | CLibrary.O_CLOEXEC | CLibrary.O_NONBLOCK, 0);
        try {
          MemorySegment flock = wholeFile(arena);
          CLibrary.fcntl(descriptor, CLibrary.F_GETLK, flock);
          return flock.get(JAVA_SHORT, 0) == F_UNLCK
              ? new Holder.Nobody()
              : new Holder.Held(flock.get(JAVA_INT, PID_AT));
        } finally {
          CLibrary.close(descriptor);
        }
      } catch (SystemError e) {
        if (e.errno() == SystemError.ENOENT) {
          return new Holder.Nobody();
        }
        throw e.on("probe a lock", path);
      }
    }
  }

  /// Start 0 and length 0 mean all of the file, however long it becomes.
  private static MemorySegment wholeFile(Arena arena) {
    MemorySegment flock = arena.allocate(FLOCK);
    flock.set(JAVA_SHORT, 0, F_WRLCK);
    return flock;
  }

  private static @Nullable Object inode(Path path) {
    try {
      return Files.readAttributes(path, BasicFileAttributes.class).fileKey();
    } catch (NoSuchFileException e) {
      return null;
    } catch (IOException e) {
      throw KeepstoneException.from(e, "look at a lock", path.toString());
    }
  }

  /// Whether the locked file still has its name. Where it has lost it, another process may hold the
  /// lock that counts.
  public boolean isNamed() {
    return file.equals(inode(path));
  }

  /// Ends the lock. The file stays.
  @Override
  public void close() {
    synchronized (HELD_HERE) {
      if (open) {
        open = false;
        HELD_HERE.remove(file);
        CLibrary.close(descriptor);
      }
    }
  }
}
