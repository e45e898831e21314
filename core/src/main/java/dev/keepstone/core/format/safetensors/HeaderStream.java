package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/// A stretch of a file as a stream, so that a header is never in memory as a whole.
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
    return new InputStreamReader(this, strictUtf8());
  }

  private static CharsetDecoder strictUtf8() {
    return StandardCharsets.UTF_8
        .newDecoder()
        .onMalformedInput(CodingErrorAction.REPORT)
        .onUnmappableCharacter(CodingErrorAction.REPORT);
  }

  /// Reads on until that many characters, or bytes that are no UTF-8, and tells how many bytes came
  /// before. For messages: parsing counts characters, people look at bytes.
  long bytesBefore(long characters) throws IOException {
    CharsetDecoder decoder = strictUtf8();
    ByteBuffer in = ByteBuffer.allocate(8192).flip();
    long bytes = 0;
    for (long left = characters; left > 0; ) {
      in.compact();
      int count = read(in.array(), in.position(), in.remaining());
      in.position(in.position() + Math.max(0, count)).flip();
      CharBuffer out = CharBuffer.allocate((int) Math.min(left, 8192));
      int before = in.position();
      CoderResult result = decoder.decode(in, out, count < 0);
      bytes += in.position() - before;
      left -= out.position();
      if (result.isError() || out.position() == 0) {
        break;
      }
    }
    return bytes;
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
