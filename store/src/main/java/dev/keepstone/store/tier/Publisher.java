package dev.keepstone.store.tier;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/// Gives a file name its bytes at most once (docs/spec/store.md, section 3): temporary file, sync,
/// link, sync of the directory, unlink; every answer but plain success is decided by reading.
final class Publisher {
  /// How long an unanswered put is tried again.
  static final Duration PATIENCE = Duration.ofSeconds(30);

  private static final int MOST_TAKEN = 1000;
  private static final Duration FIRST_PAUSE = Duration.ofMillis(20);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(2);

  private final Disk disk;
  private final StoreClock clock;
  private final String nonce;
  private final AtomicLong temporaries = new AtomicLong();

  Publisher(Disk disk, StoreClock clock, String nonce) {
    this.disk = disk;
    this.clock = clock;
    this.nonce = nonce;
  }

  /// @throws NoSuchFileException where the directory is missing; nothing was put
  /// @throws KeepstoneException where it certainly did not happen
  Put put(Path target, byte[] bytes, String describe) throws NoSuchFileException {
    long begin = clock.nanos();
    Duration pause = FIRST_PAUSE;
    boolean unanswered = false;
    while (true) {
      Attempt attempt = attempt(target, bytes);
      if (attempt.linked) {
        return durable(target);
      }
      Put seen = seen(target, bytes, describe);
      if (seen != null) {
        return seen;
      }
      if (!unanswered && attempt.definite) {
        throw certain(attempt.error, describe);
      }
      unanswered |= !attempt.definite;
      if (clock.nanos() - begin >= PATIENCE.toNanos()) {
        return new Put.Unknown(attempt.error + ", and the name is still free");
      }
      clock.pause(pause);
      Duration longer = pause.multipliedBy(2);
      pause = longer.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : longer;
    }
  }

  private static KeepstoneException certain(@Nullable IOException error, String describe)
      throws NoSuchFileException {
    if (error instanceof NoSuchFileException missing) {
      throw missing;
    }
    return KeepstoneException.from(
        error == null ? new IOException("no reason given") : error, "putting", describe);
  }

  /// One try.
  ///
  /// @param linked whether the name is now ours
  /// @param definite whether a failed try certainly has no effect, now or later: an error before
  ///   the link, or an answer to the link that names a reason. An input/output error is no answer:
  ///   a network file system may still do what it was asked.
  private record Attempt(boolean linked, boolean definite, @Nullable IOException error) {}

  private Attempt attempt(Path target, byte[] bytes) {
    Path temporary;
    try {
      temporary = writeTemporary(target, bytes);
    } catch (IOException e) {
      return new Attempt(false, true, e);
    }
    try {
      link(temporary, target);
      return new Attempt(true, true, null);
    } catch (FileAlreadyExistsException e) {
      // The name may have been freed before we read it; then the same bytes are tried again.
      return new Attempt(false, false, e);
    } catch (IOException e) {
      return new Attempt(false, isRefusal(e), e);
    } finally {
      discard(temporary);
    }
  }

  private static boolean isRefusal(IOException error) {
    KeepstoneException kind = KeepstoneException.from(error, "", "");
    return kind instanceof KeepstoneException.NoSpace
        || kind instanceof KeepstoneException.Denied
        || kind instanceof KeepstoneException.NotFound;
  }

  private Path writeTemporary(Path target, byte[] bytes) throws IOException {
    for (int taken = 0; ; taken++) {
      Path temporary =
          target.resolveSibling(
              target.getFileName() + "." + nonce + "." + temporaries.incrementAndGet() + ".tmp");
      try {
        write(temporary, bytes);
        return temporary;
      } catch (FileAlreadyExistsException e) {
        // Left by a process of the same nonce that died.
        if (taken == MOST_TAKEN) {
          throw e;
        }
      } catch (IOException e) {
        discard(temporary);
        throw e;
      }
    }
  }

  private void write(Path temporary, byte[] bytes) throws IOException {
    try (OpenFile file = disk.create(temporary)) {
      file.write(0, MemorySegment.ofArray(bytes));
      // A sync that failed may have dropped the dirty pages, so that a second one would succeed
      // without them: the file is given up.
      file.sync();
    }
  }

  private void link(Path temporary, Path target) throws IOException {
    try {
      disk.link(temporary, target);
    } catch (UnsupportedOperationException noLinks) {
      try {
        disk.renameToFree(temporary, target);
      } catch (UnsupportedOperationException noRename) {
        throw new KeepstoneException.Refused(
            "this file system has neither hard links nor a rename that never replaces, so nothing"
                + " can be committed in it",
            target.toString(),
            "put the store on another file system");
      }
    }
  }

  /// What the name says: committed, lost, or null where it is free.
  private @Nullable Put seen(Path target, byte[] bytes, String describe) {
    byte[] standing;
    try {
      standing = LocalTier.readAll(disk, target, describe);
    } catch (IOException | KeepstoneException e) {
      return new Put.Unknown("the name cannot be read: " + e.getMessage());
    }
    if (standing == null) {
      return null;
    }
    // Who linked it may not have synced the directory yet, and whoever acts on what stands there
    // must not see it vanish with the power.
    return durable(target) instanceof Put.Unknown unknown
        ? unknown
        : Arrays.equals(standing, bytes) ? new Put.Committed() : new Put.Lost(standing);
  }

  private Put durable(Path target) {
    Path directory = target.getParent();
    try {
      if (directory != null) {
        disk.syncDirectory(directory);
      }
      return new Put.Committed();
    } catch (IOException e) {
      return new Put.Unknown(
          "the name stands, but its directory could not be synced: " + e.getMessage());
    }
  }

  private void discard(Path temporary) {
    try {
      disk.delete(temporary);
    } catch (IOException e) {
      // It bears this process's nonce and a number of its own: it is in nobody's way.
    }
  }
}
