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
import org.jspecify.annotations.Nullable;

/// The disk that one actor of [Interleavings] acts on: waits for the actor's turn before each
/// operation that others can see, and before no other, so that there are as few orders as possible.
public final class TurnsDisk extends GatedDisk {
  private final Turns turns;
  private final BiPredicate<Act, Path> takesTurn;

  /// A turn for each act that makes, moves, removes or looks up a name: enough where files are
  /// never read before they are complete.
  public TurnsDisk(Disk disk, Turns turns) {
    this(disk, turns, (act, path) -> act.concernsNames());
  }

  /// @param takesTurn which acts others can see
  public TurnsDisk(Disk disk, Turns turns, BiPredicate<Act, Path> takesTurn) {
    super(disk);
    this.turns = turns;
    this.takesTurn = takesTurn;
  }

  @Override
  <T extends @Nullable Object> T pass(Act act, Path path, Body<T> body) throws IOException {
    turns.requireAlive();
    if (takesTurn.test(act, path)) {
      return turns.take(act + " " + path, body::run);
    }
    T seen = body.run();
    turns.saw(act + " " + path + " -> " + seen);
    return seen;
  }

  @Override
  public List<Entry> list(Path directory) throws IOException {
    return pass(
        Act.LIST,
        directory,
        () -> disk.list(directory).stream().sorted(Comparator.comparing(Entry::name)).toList());
  }

  @Override
  long read(Path path, OpenFile file, long position, MemorySegment target) throws IOException {
    long count = super.read(path, file, position, target);
    turns.saw(Crc32.hex(Crc32.of(target.asSlice(0, count))));
    return count;
  }
}
