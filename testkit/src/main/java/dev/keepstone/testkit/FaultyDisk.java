package dev.keepstone.testkit;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.testkit.Operation.Act;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// Any disk, with chosen operations failing.
///
/// Fault model:
/// - operations are counted from 1 in the order they begin; rules see number, kind and path, and
///   the first rule that matches decides ([#failing]);
/// - a failing operation has no effect, except a write, which leaves its first half (a full disk
///   does that), and the kinds that say that they took effect: a network file system whose first
///   answer was lost repeats the request and reports its own success as a failure;
/// - a crash ([Fault#CRASH]) is the death of the process: the operation does not happen, a write
///   leaves its first half, and neither that operation nor any later one returns: they throw
///   [Crashed], an `Error`, so that no `catch (IOException)` of the product goes on living. What
///   the disk would hold after power came back is [MemoryDisk#afterCrash]'s business;
/// - closing a file never fails.
///
/// Safe for use by several threads.
public final class FaultyDisk extends GatedDisk {
  private final List<Rule> rules = new ArrayList<>();
  private final List<Operation> operations = new ArrayList<>();
  private boolean crashed;

  public FaultyDisk(Disk disk) {
    super(disk);
  }

  /// How an operation fails.
  public enum Fault {
    NO_SPACE,
    QUOTA,
    DENIED,
    READ_ONLY,
    INPUT_OUTPUT,
    /// Takes effect, then an input/output error is reported.
    DONE_BUT_INPUT_OUTPUT,
    /// Takes effect, then the name is said to have been there before.
    DONE_BUT_EXISTS,
    /// No file system of this kind can do that (links, renames to a free name).
    UNSUPPORTED,
    CRASH;

    boolean takesEffect() {
      return this == DONE_BUT_INPUT_OUTPUT || this == DONE_BUT_EXISTS;
    }

    IOException error(Path path) {
      return switch (this) {
        case NO_SPACE -> new FileSystemException(path.toString(), null, "No space left on device");
        case QUOTA -> new FileSystemException(path.toString(), null, "Disk quota exceeded");
        case DENIED -> new AccessDeniedException(path.toString());
        case READ_ONLY -> new FileSystemException(path.toString(), null, "Read-only file system");
        case INPUT_OUTPUT, DONE_BUT_INPUT_OUTPUT ->
            new FileSystemException(path.toString(), null, "Input/output error");
        case DONE_BUT_EXISTS -> new FileAlreadyExistsException(path.toString());
        case UNSUPPORTED -> throw new UnsupportedOperationException(path.toString());
        case CRASH -> throw new Crashed();
      };
    }
  }

  /// The death of the process, thrown out of every operation from the crash on.
  public static final class Crashed extends Error {
    private static final long serialVersionUID = 1;

    Crashed() {
      super("the process died here", null, false, false);
    }
  }

  private record Rule(Predicate<Operation> which, Fault fault) {}

  /// From now on, operations that match fail in that way.
  public synchronized FaultyDisk failing(Predicate<Operation> which, Fault fault) {
    rules.add(new Rule(which, fault));
    return this;
  }

  /// Forgets all rules; a crashed disk stays crashed.
  public synchronized void heal() {
    rules.clear();
  }

  /// What was asked of the disk so far, failed operations included.
  public synchronized List<Operation> operations() {
    return List.copyOf(operations);
  }

  private synchronized @Nullable Fault begin(Act act, Path path) {
    if (crashed) {
      throw new Crashed();
    }
    Operation operation = new Operation(operations.size() + 1, act, path);
    operations.add(operation);
    for (Rule rule : rules) {
      if (rule.which.test(operation)) {
        crashed = rule.fault == Fault.CRASH;
        return rule.fault;
      }
    }
    return null;
  }

  @Override
  <T extends @Nullable Object> T pass(Act act, Path path, Body<T> body) throws IOException {
    Fault fault = begin(act, path);
    if (fault == null) {
      return body.run();
    }
    if (fault.takesEffect()) {
      body.run();
    }
    throw fault.error(path);
  }

  @Override
  void write(Path path, OpenFile file, long position, MemorySegment source) throws IOException {
    Fault fault = begin(Act.WRITE, path);
    boolean whole = fault == null || fault.takesEffect();
    file.write(position, whole ? source : source.asSlice(0, source.byteSize() / 2));
    if (fault != null) {
      throw fault.error(path);
    }
  }
}
