package dev.keepstone.testkit;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// A file of a [MemoryDisk] without its names: its bytes, and what of them is durable.
final class Inode implements Node {
  /// What a device writes whole or not at all.
  private static final int SECTOR = 512;

  byte[] bytes = new byte[0];
  int length;

  private byte[] synced = new byte[0];
  private Instant modified;
  private final List<ByteChange> unsynced = new ArrayList<>();

  Inode(Instant made) {
    modified = made;
  }

  @Override
  public Instant modified() {
    return modified;
  }

  /// A write, or a truncation to `position` where `bytes` is null.
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record ByteChange(int position, byte @Nullable [] bytes) {}

  void change(ByteChange change, Instant moment) {
    modified = moment;
    byte[] written = change.bytes;
    if (written == null) {
      truncate(change.position);
    } else {
      write(change.position, written, 0, written.length);
    }
    unsynced.add(change);
  }

  private void truncate(int position) {
    length = Math.min(length, position);
    Arrays.fill(bytes, length, bytes.length, (byte) 0);
  }

  private void write(int position, byte[] source, int from, int count) {
    int end = Math.addExact(position, count);
    if (end > bytes.length) {
      bytes = Arrays.copyOf(bytes, Math.max(end, bytes.length + bytes.length / 2));
    }
    System.arraycopy(source, from, bytes, position, count);
    length = Math.max(length, end);
  }

  void sync() {
    if (!unsynced.isEmpty()) {
      synced = Arrays.copyOf(bytes, length);
      unsynced.clear();
    }
  }

  /// The file after a crash: with what was synced, and of the rest what luck makes of it; nothing
  /// without luck.
  Inode survivor(@Nullable RandomGenerator luck) {
    Inode survivor = new Inode(modified);
    survivor.bytes = synced.clone();
    survivor.length = synced.length;
    if (luck != null) {
      List<ByteChange> changes = new ArrayList<>(unsynced);
      if (luck.nextInt(4) == 0) {
        Collections.shuffle(changes, luck);
      }
      changes.forEach(change -> survivor.land(change, luck));
    }
    survivor.synced = Arrays.copyOf(survivor.bytes, survivor.length);
    return survivor;
  }

  private void land(ByteChange change, RandomGenerator luck) {
    byte[] written = change.bytes;
    if (written == null) {
      if (luck.nextBoolean()) {
        truncate(change.position);
      }
      return;
    }
    switch (luck.nextInt(6)) {
      case 0 -> {
        // Lost.
      }
      case 1 -> write(change.position, written, 0, luck.nextInt(written.length + 1));
      case 2 -> writeSectors(change.position, written, luck);
      case 3 -> write(change.position, new byte[written.length], 0, written.length);
      case 4 -> write(change.position, flipped(written, luck), 0, written.length);
      default -> write(change.position, written, 0, written.length);
    }
  }

  /// Some of the sectors; what is not written before one that is stays as it was, or is zero where
  /// the file ended.
  private void writeSectors(int position, byte[] written, RandomGenerator luck) {
    int end = position + written.length;
    for (int at = position; at < end; ) {
      int next = Math.min(end, (at / SECTOR + 1) * SECTOR);
      if (luck.nextBoolean()) {
        write(at, written, at - position, next - at);
      }
      at = next;
    }
  }

  private static byte[] flipped(byte[] written, RandomGenerator luck) {
    byte[] flipped = written.clone();
    if (written.length > 0) {
      int bit = luck.nextInt(written.length * 8);
      flipped[bit / 8] ^= (byte) (1 << bit % 8);
    }
    return flipped;
  }
}
