package dev.keepstone.testkit;

import java.nio.file.Path;
import java.util.function.Predicate;

/// One act on a disk.
///
/// @param number counts from 1
/// @param path the name acted on; of [Act#LINK] and [Act#RENAME] the new one
public record Operation(int number, Act act, Path path) {
  /// Whether this is the n-th one.
  public static Predicate<Operation> nth(int n) {
    return operation -> operation.number == n;
  }

  /// Whether this is the n-th one or a later one.
  public static Predicate<Operation> from(int n) {
    return operation -> operation.number >= n;
  }

  /// The kinds of operations.
  public enum Act {
    CREATE_DIRECTORIES(true),
    CREATE(true),
    OPEN(false),
    LINK(true),
    RENAME(true),
    DELETE(true),
    LIST(false),
    MODIFIED(false),
    SYNC_DIRECTORY(true),
    USABLE(false),
    SIZE(false),
    READ(false),
    WRITE(true),
    RESERVE(true),
    TRUNCATE(true),
    SYNC(true);

    private final boolean changes;

    Act(boolean changes) {
      this.changes = changes;
    }

    /// Whether this changes the disk or makes a change durable.
    public boolean changes() {
      return changes;
    }

    /// Whether others can tell when this happens, so long as files are read only once they are
    /// complete: it makes, moves, removes or looks up a name.
    boolean concernsNames() {
      return switch (this) {
        case CREATE, OPEN, LINK, RENAME, DELETE, LIST -> true;
        case CREATE_DIRECTORIES,
            MODIFIED,
            SYNC_DIRECTORY,
            USABLE,
            SIZE,
            READ,
            WRITE,
            RESERVE,
            TRUNCATE,
            SYNC ->
            false;
      };
    }
  }
}
