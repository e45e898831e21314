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
public final class FaultyDisk implements Disk {
  private final Disk disk;
  private final List<Rule> rules = new ArrayList<>();
  private final List<Operation> operations = new ArrayList<>();
  private boolean crashed;

  public FaultyDisk(Disk disk) {
    this.disk = disk;
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

  private interface Body<T extends @Nullable Object> {
    T run() throws IOException;
  }

  private <T extends @Nullable Object> T run(Act act, Path path, Body<T> body) throws IOException {
    Fault fault = begin(act, path);
    if (fault == null) {
      return body.run();
    }
    if (fault.takesEffect()) {
      body.run();
    }
    throw fault.error(path);
  }

  private void act(Act act, Path path, Effect effect) throws IOException {
    run(
        act,
        path,
        () -> {
          effect.run();
          return null;
        });
  }

  private interface Effect {
    void run() throws IOException;
  }

  @Override
  public void createDirectories(Path directory) throws IOException {
    act(Act.CREATE_DIRECTORIES, directory, () -> disk.createDirectories(directory));
  }

  @Override
  public OpenFile create(Path file) throws IOException {
    return new FaultyFile(file, run(Act.CREATE, file, () -> disk.create(file)));
  }

  @Override
  public OpenFile open(Path file) throws IOException {
    return new FaultyFile(file, run(Act.OPEN, file, () -> disk.open(file)));
  }

  @Override
  public void link(Path file, Path name) throws IOException {
    act(Act.LINK, name, () -> disk.link(file, name));
  }

  @Override
  public void renameToFree(Path file, Path name) throws IOException {
    act(Act.RENAME, name, () -> disk.renameToFree(file, name));
  }

  @Override
  public void delete(Path file) throws IOException {
    act(Act.DELETE, file, () -> disk.delete(file));
  }

  @Override
  public List<Entry> list(Path directory) throws IOException {
    return run(Act.LIST, directory, () -> disk.list(directory));
  }

  @Override
  public void syncDirectory(Path directory) throws IOException {
    act(Act.SYNC_DIRECTORY, directory, () -> disk.syncDirectory(directory));
  }

  @Override
  public long usableBytes(Path directory) throws IOException {
    return run(Act.USABLE, directory, () -> disk.usableBytes(directory));
  }

  private final class FaultyFile implements OpenFile {
    private final Path path;
    private final OpenFile file;

    FaultyFile(Path path, OpenFile file) {
      this.path = path;
      this.file = file;
    }

    @Override
    public long size() throws IOException {
      return run(Act.SIZE, path, file::size);
    }

    @Override
    public long read(long position, MemorySegment target) throws IOException {
      return run(Act.READ, path, () -> file.read(position, target));
    }

    @Override
    public void write(long position, MemorySegment source) throws IOException {
      Fault fault = begin(Act.WRITE, path);
      boolean whole = fault == null || fault.takesEffect();
      file.write(position, whole ? source : source.asSlice(0, source.byteSize() / 2));
      if (fault != null) {
        throw fault.error(path);
      }
    }

    @Override
    public void reserve(long byteLength) throws IOException {
      act(Act.RESERVE, path, () -> file.reserve(byteLength));
    }

    @Override
    public void truncate(long byteLength) throws IOException {
      act(Act.TRUNCATE, path, () -> file.truncate(byteLength));
    }

    @Override
    public void sync() throws IOException {
      act(Act.SYNC, path, file::sync);
    }

    @Override
    public void close() throws IOException {
      file.close();
    }
  }
}
