package dev.keepstone.segment.wire;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.json.JsonWriter;
import java.io.EOFException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.ProtocolException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;

/// Frames over a connection: a little-endian `u32` length and that many bytes of JSON.
///
/// Two threads may use it, one that reads and one that writes. Closing it from a third ends both
/// with an [AsynchronousCloseException]. Patience is silence, not a total: a peer that sends a byte
/// now and then is alive.
public final class FrameChannel implements AutoCloseable {
  /// The longest frame that either side sends or accepts.
  public static final int MAX_FRAME_BYTES = 256 << 20;

  /// The most values of a frame: more than the largest layout that an agent takes has, and no more
  /// than a heap of 1 GiB holds.
  public static final long MAX_VALUES = 10_000_000;

  /// Silence that ends a frame once it has begun: its sender is gone or stuck.
  public static final Duration MID_FRAME_PATIENCE = Duration.ofSeconds(30);

  private static final int LENGTH_BYTES = 4;

  /// The length that the letters `GET ` would be.
  private static final int HTTP_GET = 0x20544547;

  // What is allocated before any byte of a frame has come: a length alone must not cost its
  // sender's
  // peer 256 MiB.
  private static final int FIRST_BYTES = 64 << 10;

  private final SocketChannel channel;
  private final Selector readable;
  private final Selector writable;

  private final long mostValues;

  /// Takes over a connected channel.
  public FrameChannel(SocketChannel channel) throws IOException {
    this(channel, MAX_VALUES);
  }

  FrameChannel(SocketChannel channel, long mostValues) throws IOException {
    this.channel = channel;
    this.mostValues = mostValues;
    channel.configureBlocking(false);
    readable = Selector.open();
    writable = Selector.open();
    channel.register(readable, SelectionKey.OP_READ);
    channel.register(writable, SelectionKey.OP_WRITE);
  }

  /// The connection below, to ask who its peer is.
  public SocketChannel channel() {
    return channel;
  }

  /// Writes one frame.
  ///
  /// @throws ProtocolException where it is longer than [#MAX_FRAME_BYTES]; nothing was written
  /// @throws SocketTimeoutException where the peer takes nothing for [#MID_FRAME_PATIENCE]
  public void write(Json.Obj frame) throws IOException {
    byte[] body = JsonWriter.bytes(frame);
    if (body.length > MAX_FRAME_BYTES) {
      throw tooLong(body.length);
    }
    ByteBuffer bytes =
        ByteBuffer.allocate(LENGTH_BYTES + body.length).order(ByteOrder.LITTLE_ENDIAN);
    write(bytes.putInt(body.length).put(body).flip());
  }

  /// Writes bytes that are no frame, to a peer that speaks HTTP.
  public void writeRaw(byte[] bytes) throws IOException {
    write(ByteBuffer.wrap(bytes));
  }

  /// Reads what follows `GET ` up to the empty line, from a peer that speaks HTTP.
  ///
  /// @throws ProtocolException where that is longer than `most` bytes
  public String readHead(int most) throws IOException {
    ByteBuffer head = ByteBuffer.allocate(most);
    String text = "";
    while (!text.contains("\r\n\r\n")) {
      int count = head.hasRemaining() ? channel.read(head) : -1;
      if (count < 0) {
        throw new ProtocolException("expected the head of a request in " + most + " bytes");
      }
      if (count == 0) {
        await(readable, MID_FRAME_PATIENCE);
      }
      text = new String(head.array(), 0, head.position(), StandardCharsets.US_ASCII);
    }
    return text;
  }

  private void write(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      if (channel.write(bytes) == 0) {
        await(writable, MID_FRAME_PATIENCE);
      }
    }
  }

  /// Reads one frame, waiting as long as it takes for it to begin.
  ///
  /// @return empty where the peer closed between two frames
  public Optional<Json.Obj> read() throws IOException {
    return read(Duration.ZERO);
  }

  /// Reads one frame.
  ///
  /// @param patience silence to bear before its first byte; zero for any
  /// @return empty where the peer closed between two frames
  /// @throws SocketTimeoutException where patience ends
  /// @throws EOFException where the peer closed inside a frame
  /// @throws KeepstoneException.Refused for a frame of more than [#MAX_VALUES] values; the next one
  ///   can be read
  /// @throws HttpException where it is no frame but the begin of an HTTP request
  /// @throws ProtocolException for a frame that is too long or no JSON object; close the channel
  public Optional<Json.Obj> read(Duration patience) throws IOException {
    ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    while (length.hasRemaining()) {
      int count = channel.read(length);
      if (count < 0) {
        if (length.position() == 0) {
          return Optional.empty();
        }
        throw endedInside(length.position(), LENGTH_BYTES);
      }
      if (count == 0) {
        await(readable, length.position() == 0 ? patience : MID_FRAME_PATIENCE);
      }
    }
    long declared = Integer.toUnsignedLong(length.getInt(0));
    if (declared == HTTP_GET) {
      throw new HttpException();
    }
    if (declared > MAX_FRAME_BYTES) {
      throw tooLong(declared);
    }
    try {
      Optional<Json.Obj> frame = JsonReader.readObject(readBody((int) declared), mostValues);
      if (frame.isEmpty()) {
        throw new KeepstoneException.Refused(
            "a frame has at most " + mostValues + " values",
            "a frame of " + declared + " bytes",
            "register fewer tensors, or save from more ranks");
      }
      return frame;
    } catch (JsonException e) {
      ProtocolException failure =
          new ProtocolException("frame is no JSON object: " + e.getMessage());
      failure.initCause(e);
      throw failure;
    }
  }

  private byte[] readBody(int declared) throws IOException {
    byte[] body = new byte[Math.min(declared, FIRST_BYTES)];
    int have = 0;
    while (have < declared) {
      if (have == body.length) {
        body = Arrays.copyOf(body, (int) Math.min(declared, 2L * body.length));
      }
      int count = channel.read(ByteBuffer.wrap(body, have, body.length - have));
      if (count < 0) {
        throw endedInside(have, declared);
      }
      if (count == 0) {
        await(readable, MID_FRAME_PATIENCE);
      }
      have += count;
    }
    return body;
  }

  private void await(Selector selector, Duration patience) throws IOException {
    try {
      int ready = selector.select(patience.toMillis());
      selector.selectedKeys().clear();
      if (!channel.isOpen()) {
        throw new AsynchronousCloseException();
      }
      if (Thread.interrupted()) {
        Thread.currentThread().interrupt();
        throw new InterruptedIOException("interrupted while waiting for the peer");
      }
      if (ready == 0 && !patience.isZero()) {
        throw new SocketTimeoutException("the peer was silent for " + patience);
      }
    } catch (ClosedSelectorException | CancelledKeyException e) {
      throw (IOException) new AsynchronousCloseException().initCause(e);
    }
  }

  private static ProtocolException tooLong(long found) {
    return new ProtocolException(
        "a frame has at most " + MAX_FRAME_BYTES + " bytes, found " + found);
  }

  private static EOFException endedInside(long have, long expected) {
    return new EOFException(
        "the connection ended inside a frame: expected " + expected + " bytes, found " + have);
  }

  @Override
  public void close() throws IOException {
    try (readable;
        writable) {
      channel.close();
    }
  }
}
