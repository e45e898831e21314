package dev.keepstone.testkit;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.testkit.Operation.Act;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.function.BiPredicate;

/// The disk that one actor of [Interleavings] acts on: waits for the actor's turn before each
/// operation that others can see, and before no other, so that there are as few orders as possible.
public final class TurnsDisk implements Disk {
  private final Disk disk;
  private final Turns turns;
  private final BiPredicate<Act, Path> takesTurn;

  /// A turn for each act that makes, moves, removes or looks up a name: enough where files are
  /// never read before they are complete.
  public TurnsDisk(Disk disk, Turns turns) {
    this(disk, turns, (act, path) -> act.concernsNames());
  }

  /// @param takesTurn which acts others can see
  public TurnsDisk(Disk disk, Turns turns, BiPredicate<Act, Path> takesTurn) {
    this.disk = disk;
    this.turns = turns;
    this.takesTurn = takesTurn;
  }

  private <T> T run(Act act, Path path, Turns.Act<T, IOException> body) throws IOException {
    turns.requireAlive();
    if (takesTurn.test(act, path)) {
      return turns.take(act + " " + path, body);
    }
    T seen = body.run();
    turns.saw(act + " " + path + " -> " + seen);
    return seen;
  }

  private interface Effect {
    void run() throws IOException;
  }

  private void act(Act act, Path path, Effect effect) throws IOException {
    run(
        act,
        path,
        () -> {
          effect.run();
          return "done";
        });
  }

  @Override
  public void createDirectories(Path directory) throws IOException {
    act(Act.CREATE_DIRECTORIES, directory, () -> disk.createDirectories(directory));
  }

  @Override
  public OpenFile create(Path file) throws IOException {
    return run(Act.CREATE, file, () -> new TurnsFile(file, disk.create(file)));
  }

  @Override
  public OpenFile open(Path file) throws IOException {
    return run(Act.OPEN, file, () -> new TurnsFile(file, disk.open(file)));
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
    return run(
        Act.LIST,
        directory,
        () -> disk.list(directory).stream().sorted(Comparator.comparing(Entry::name)).toList());
  }

  @Override
  public void syncDirectory(Path directory) throws IOException {
    act(Act.SYNC_DIRECTORY, directory, () -> disk.syncDirectory(directory));
  }

  @Override
  public long usableBytes(Path directory) throws IOException {
    return run(Act.USABLE, directory, () -> disk.usableBytes(directory));
  }

  private final class TurnsFile implements OpenFile {
    private final Path path;
    private final OpenFile file;

    TurnsFile(Path path, OpenFile file) {
      this.path = path;
      this.file = file;
    }

    @Override
    public long size() throws IOException {
      return run(Act.SIZE, path, file::size);
    }

    @Override
    public long read(long position, MemorySegment target) throws IOException {
      long count = run(Act.READ, path, () -> file.read(position, target));
      turns.saw(Crc32.hex(Crc32.of(target.asSlice(0, count))));
      return count;
    }

    @Override
    public void write(long position, MemorySegment source) throws IOException {
      act(Act.WRITE, path, () -> file.write(position, source));
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

    /// What an actor learns by opening a file: that it is there.
    @Override
    public String toString() {
      return "open";
    }
  }
}
