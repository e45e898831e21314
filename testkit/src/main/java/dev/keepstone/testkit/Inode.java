package dev.keepstone.testkit;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// A file of a [MemoryDisk] without its names: its bytes, and what of them is durable. Equal to
/// nothing but itself.
final class Inode {
  byte[] bytes = new byte[0];
  int length;

  private byte[] synced = new byte[0];
  private final List<ByteChange> unsynced = new ArrayList<>();

  /// A write, or a truncation to `position` where `bytes` is null.
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record ByteChange(long position, byte @Nullable [] bytes) {}

  void change(ByteChange change) {
    apply(change, change.bytes == null ? 0 : change.bytes.length);
    unsynced.add(change);
  }

  private void apply(ByteChange change, int count) {
    if (change.bytes == null) {
      length = (int) Math.min(length, change.position);
      Arrays.fill(bytes, length, bytes.length, (byte) 0);
      return;
    }
    int end = Math.toIntExact(Math.addExact(change.position, count));
    if (end > bytes.length) {
      bytes = Arrays.copyOf(bytes, Math.max(end, bytes.length + bytes.length / 2));
    }
    System.arraycopy(change.bytes, 0, bytes, (int) change.position, count);
    length = Math.max(length, end);
  }

  void sync() {
    if (!unsynced.isEmpty()) {
      synced = Arrays.copyOf(bytes, length);
      unsynced.clear();
    }
  }

  /// The file after a crash: with what was synced, and of the rest what luck keeps; nothing of it
  /// without luck.
  Inode survivor(@Nullable RandomGenerator luck) {
    Inode survivor = new Inode();
    survivor.bytes = synced.clone();
    survivor.length = synced.length;
    if (luck != null) {
      for (ByteChange change : unsynced) {
        if (luck.nextBoolean()) {
          int all = change.bytes == null ? 0 : change.bytes.length;
          survivor.apply(change, luck.nextBoolean() ? all : luck.nextInt(all + 1));
        }
      }
    }
    survivor.synced = Arrays.copyOf(survivor.bytes, survivor.length);
    return survivor;
  }
}
