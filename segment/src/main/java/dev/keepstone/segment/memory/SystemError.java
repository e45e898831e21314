package dev.keepstone.segment.memory;

import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/// What a system call answered instead of success.
final class SystemError extends IOException {
  private static final long serialVersionUID = 1;

  static final int ENOENT = 2;
  static final int EINTR = 4;
  static final int EAGAIN = 11;
  static final int EACCES = 13;
  static final int EEXIST = 17;
  static final int EINVAL = 22;

  private final int errno;

  SystemError(String call, int errno, String words) {
    super(call + ": " + words + " (errno " + errno + ")");
    this.errno = errno;
  }

  int errno() {
    return errno;
  }

  /// The kind of failure a caller can act on. Space, rights and quota are told apart by the words
  /// in one place for all of Keepstone.
  KeepstoneException on(String doing, Path file) {
    IOException cause =
        switch (errno) {
          case ENOENT -> new NoSuchFileException(file.toString());
          case EEXIST -> new FileAlreadyExistsException(file.toString());
          default -> this;
        };
    return KeepstoneException.from(cause, doing, file.toString());
  }
}
