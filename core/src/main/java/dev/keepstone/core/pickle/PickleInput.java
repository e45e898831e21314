package dev.keepstone.core.pickle;

import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// A stretch of a file, read forward in blocks: the bytes of one pickle, or of several in a row.
public final class PickleInput {
  /// Longest pickle that is read; checkpoints of 100,000 tensors have some 20 MiB of it.
  static final long MAX_PICKLE_BYTES = 256L << 20;

  private static final int BLOCK_BYTES = 64 << 10;

  private final OpenFile file;
  private final String on;
  private final long begin;
  private final long end;
  private final byte[] block = new byte[BLOCK_BYTES];
  private long blockAt;
  private int inBlock;
  private int filled;

  /// @param on the file, for messages
  /// @param begin first byte in the file
  /// @param end behind the last byte that belongs to it
  public PickleInput(OpenFile file, String on, long begin, long end) {
    this.file = file;
    this.on = on;
    this.begin = begin;
    this.end = end;
    this.blockAt = begin;
  }

  /// Offset in the file of the next byte.
  public long position() {
    return blockAt + inBlock;
  }

  int u8() throws IOException {
    if (inBlock == filled) {
      fill();
    }
    return block[inBlock++] & 0xff;
  }

  private void fill() throws IOException {
    blockAt += filled;
    inBlock = 0;
    filled = 0;
    long count = Math.min(BLOCK_BYTES, end - blockAt);
    if (count <= 0) {
      throw broken("the pickle ends before its STOP", blockAt);
    }
    if (blockAt - begin >= MAX_PICKLE_BYTES) {
      throw refused("a pickle of more than " + MAX_PICKLE_BYTES + " bytes", blockAt);
    }
    filled = (int) file.read(blockAt, MemorySegment.ofArray(block).asSlice(0, count));
    if (filled <= 0) {
      throw broken("the file has become shorter while it was read", blockAt);
    }
  }

  /// A little-endian number.
  ///
  /// @param bytes up to 8; the result of 8 bytes may be negative
  long number(int bytes) throws IOException {
    long value = 0;
    for (int i = 0; i < bytes; i++) {
      value |= (long) u8() << (8 * i);
    }
    return value;
  }

  /// The next bytes.
  ///
  /// @param count what the pickle claims; negative where the claim is beyond 63 bits
  /// @param limit the most that is allowed of this kind
  byte[] bytes(long count, long limit, String what) throws IOException {
    long at = position();
    if (count < 0 || count > end - at) {
      throw broken(
          "expected %s bytes of %s, the pickle has %d more"
              .formatted(Long.toUnsignedString(count), what, end - at),
          at);
    }
    if (count > limit) {
      throw refused("%d bytes of %s, and at most %d are read".formatted(count, what, limit), at);
    }
    byte[] bytes = new byte[(int) count];
    for (int done = 0; done < bytes.length; ) {
      if (inBlock == filled) {
        fill();
      }
      int more = Math.min(bytes.length - done, filled - inBlock);
      System.arraycopy(block, inBlock, bytes, done, more);
      inBlock += more;
      done += more;
    }
    return bytes;
  }

  /// The bytes up to the next line feed, which is passed over.
  byte[] line(int limit) throws IOException {
    long at = position();
    byte[] line = new byte[64];
    int length = 0;
    for (int next = u8(); next != '\n'; next = u8()) {
      if (length == limit) {
        throw refused("a line of more than " + limit + " bytes", at);
      }
      if (length == line.length) {
        line = Arrays.copyOf(line, 2 * length);
      }
      line[length++] = (byte) next;
    }
    return Arrays.copyOf(line, length);
  }

  KeepstoneException.Integrity broken(String what, long offset) {
    return new KeepstoneException.Integrity(
        what, on + ", byte " + offset, "take another copy of the file");
  }

  KeepstoneException.Refused refused(String what, long offset) {
    return new KeepstoneException.Refused(
        what,
        on + ", byte " + offset,
        "look where the file comes from; who trusts it writes its tensors anew as safetensors");
  }
}
