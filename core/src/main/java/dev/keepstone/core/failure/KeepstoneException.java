package dev.keepstone.core.failure;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// A failure told to people: what failed, on which object, and what to do next.
///
/// The kinds are those of docs/spec/exit-codes.md and docs/spec/wire.md; the message carries
/// expected against found.
public abstract sealed class KeepstoneException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String what;
  private final String on;
  private final String next;

  private KeepstoneException(String what, String on, String next, @Nullable Throwable cause) {
    super(what + "\n  on    " + on + "\n  next  " + next, cause);
    this.what = what;
    this.on = on;
    this.next = next;
  }

  /// What failed, expected against found.
  public final String what() {
    return what;
  }

  /// The object: a file (and offset), a reference, a run.
  public final String on() {
    return on;
  }

  /// What to do next; a command to type where there is one.
  public final String next() {
    return next;
  }

  /// The store, run or checkpoint is not there. Name another.
  public static final class NotFound extends KeepstoneException {
    private static final long serialVersionUID = 1;

    public NotFound(String what, String on, String next) {
      super(what, on, next, null);
    }
  }

  /// Bytes are not what they were or not what they claim. Use another copy.
  public static final class Integrity extends KeepstoneException {
    private static final long serialVersionUID = 1;

    public Integrity(String what, String on, String next) {
      super(what, on, next, null);
    }

    public Integrity(String what, String on, String next, Throwable cause) {
      super(what, on, next, cause);
    }
  }

  /// Asked for something that would not be safe or is not possible. Change the request.
  public static final class Refused extends KeepstoneException {
    private static final long serialVersionUID = 1;

    public Refused(String what, String on, String next) {
      super(what, on, next, null);
    }
  }

  /// Disk, quota or memory is full. Make room.
  public static final class NoSpace extends KeepstoneException {
    private static final long serialVersionUID = 1;

    public NoSpace(String what, String on, String next) {
      super(what, on, next, null);
    }
  }

  /// Not now. Try again later.
  public static final class Busy extends KeepstoneException {
    private static final long serialVersionUID = 1;

    public Busy(String what, String on, String next) {
      super(what, on, next, null);
    }
  }

  /// The operating system or the store does not let us. Change rights.
  public static final class Denied extends KeepstoneException {
    private static final long serialVersionUID = 1;

    public Denied(String what, String on, String next) {
      super(what, on, next, null);
    }
  }

  /// A newer start of the run has taken over. Stop this trainer.
  public static final class Fenced extends KeepstoneException {
    private static final long serialVersionUID = 1;

    public Fenced(String what, String on, String next) {
      super(what, on, next, null);
    }
  }

  /// Whether it happened cannot be known yet. Look again; delete nothing.
  public static final class OutcomeUnknown extends KeepstoneException {
    private static final long serialVersionUID = 1;

    public OutcomeUnknown(String what, String on, String next) {
      super(what, on, next, null);
    }
  }

  /// Written by a newer Keepstone, or in a format that this one lacks. Update.
  public static final class Unsupported extends KeepstoneException {
    private static final long serialVersionUID = 1;

    public Unsupported(String what, String on, String next) {
      super(what, on, next, null);
    }
  }

  /// No agent answers. Start one.
  public static final class AgentUnavailable extends KeepstoneException {
    private static final long serialVersionUID = 1;

    public AgentUnavailable(String what, String on, String next) {
      super(what, on, next, null);
    }
  }

  /// Anything else.
  public static final class Failed extends KeepstoneException {
    private static final long serialVersionUID = 1;

    public Failed(String what, String on, String next, @Nullable Throwable cause) {
      super(what, on, next, cause);
    }
  }

  /// A system error as the kind a caller can act on. The system tells space and rights apart by
  /// words alone where the JDK has no type of its own, so the words are looked at here, once.
  public static KeepstoneException from(IOException error, String doing, String on) {
    String words =
        error instanceof FileSystemException files && files.getReason() != null
            ? files.getReason()
            : String.valueOf(error.getMessage());
    String lower = words.toLowerCase(Locale.ROOT);
    if (error instanceof NoSuchFileException) {
      return new NotFound(doing + ": no such file", on, "check the path");
    }
    if (error instanceof AccessDeniedException
        || lower.contains("permission denied")
        || lower.contains("read-only file system")
        || lower.contains("operation not permitted")) {
      return new Denied(
          doing + ": " + (error instanceof AccessDeniedException ? "permission denied" : words),
          on,
          "check owner and mode, and that the file system is mounted for writing");
    }
    if (lower.contains("no space left") || lower.contains("quota exceeded")) {
      return new NoSpace(doing + ": " + words, on, "free space or raise the quota, then try again");
    }
    return new Failed(doing + ": " + words, on, "look at the system's log", error);
  }
}
