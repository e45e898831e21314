package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/// A stretch of a file as a stream, read in blocks.
final class HeaderStream extends InputStream {
  private static final int BLOCK_BYTES = 256 << 10;

  private final OpenFile file;
  private final long end;
  private final Arena arena = Arena.ofConfined();
  private final MemorySegment block;
  private long position;
  private int at;
  private int filled;

  /// @param begin where the stretch begins in the file
  /// @param length its bytes; the file has them
  HeaderStream(OpenFile file, long begin, long length) {
    this.file = file;
    this.position = begin;
    this.end = begin + length;
    this.block = arena.allocate(Math.clamp(length, 1, BLOCK_BYTES));
  }

  /// The stretch as characters. Strict UTF-8: the JSON library's own decoder lets overlong forms
  /// and encoded surrogates pass, and guesses other encodings.
  Reader characters() {
    return new InputStreamReader(
        this,
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT));
  }

  @Override
  public int read() throws IOException {
    return fill() ? Byte.toUnsignedInt(block.get(ValueLayout.JAVA_BYTE, at++)) : -1;
  }

  @Override
  public int read(byte[] target, int offset, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    if (!fill()) {
      return -1;
    }
    int count = Math.min(length, filled - at);
    MemorySegment.copy(block, ValueLayout.JAVA_BYTE, at, target, offset, count);
    at += count;
    return count;
  }

  private boolean fill() throws IOException {
    if (at == filled) {
      at = 0;
      MemorySegment wanted = block.asSlice(0, Math.min(block.byteSize(), end - position));
      filled = (int) file.read(position, wanted);
      position += filled;
    }
    return filled > 0;
  }

  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
