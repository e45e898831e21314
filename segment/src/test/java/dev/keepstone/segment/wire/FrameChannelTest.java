package dev.keepstone.segment.wire;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import java.io.EOFException;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.ProtocolException;
import java.net.SocketTimeoutException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FrameChannelTest {
  private SocketChannel raw;
  private FrameChannel frames;

  @BeforeEach
  void connect(@TempDir Path directory) throws IOException {
    UnixDomainSocketAddress address = UnixDomainSocketAddress.of(directory.resolve("s"));
    try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      server.bind(address);
      raw = SocketChannel.open(address);
      frames = new FrameChannel(server.accept());
    }
  }

  @AfterEach
  void close() throws IOException {
    raw.close();
    frames.close();
  }

  @Test
  void aFrameOfTooManyValuesIsRefusedAndTheNextOneIsRead() throws IOException {
    try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      server.bind(null);
      try (SocketChannel peer = SocketChannel.open(server.getLocalAddress());
          FrameChannel few = new FrameChannel(server.accept(), 4)) {
        peer.write(ByteBuffer.wrap(framed("{\"a\":[1,2,3]}")));
        peer.write(ByteBuffer.wrap(framed("{\"a\":[1,2]}")));
        assertThatThrownBy(few::read)
            .isInstanceOf(KeepstoneException.Refused.class)
            .hasMessageContaining("at most 4 values");
        assertThat(few.read().orElseThrow().array("a")).hasSize(2);
      }
    }
  }

  private static byte[] framed(byte[] body) {
    return ByteBuffer.allocate(4 + body.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(body.length)
        .put(body)
        .array();
  }

  private static byte[] framed(String body) {
    return framed(body.getBytes(UTF_8));
  }

  @Test
  void aFrameThatComesByteByByteIsRead() throws Exception {
    CompletableFuture<Json.Obj> read =
        CompletableFuture.supplyAsync(() -> {
          try {
            return frames.read().orElseThrow();
          } catch (IOException e) {
            throw new IllegalStateException(e);
          }
        });
    for (byte one : framed("{\"do\":\"next\"}")) {
      raw.write(ByteBuffer.wrap(new byte[] {one}));
    }
    assertThat(read.get()).isEqualTo(Json.object().put("do", "next").build());
  }

  @Test
  void twoFramesInOneWriteAreTwoFrames() throws Exception {
    byte[] one = framed("{\"a\":1}");
    byte[] two = framed("{\"b\":2}");
    raw.write(ByteBuffer.allocate(one.length + two.length).put(one).put(two).flip());
    assertThat(frames.read()).hasValue(Json.object().put("a", 1).build());
    assertThat(frames.read()).hasValue(Json.object().put("b", 2).build());
  }

  @Test
  void aFrameLargerThanTheSocketsBufferGoesThrough() throws Exception {
    Json.Obj large = Json.object().put("text", "x".repeat(5 << 20)).build();
    try (FrameChannel sender = new FrameChannel(raw)) {
      CompletableFuture<Void> sent =
          CompletableFuture.runAsync(() -> {
            try {
              sender.write(large);
            } catch (IOException e) {
              throw new IllegalStateException(e);
            }
          });
      assertThat(frames.read()).hasValue(large);
      sent.get();
    }
  }

  @Test
  void anEndBetweenFramesIsAnEnd() throws Exception {
    raw.close();
    assertThat(frames.read()).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 4, 10})
  void anEndInsideAFrameIsAFailure(int sent) throws Exception {
    raw.write(ByteBuffer.wrap(framed("{\"do\":\"next\"}"), 0, sent));
    raw.close();
    assertThatThrownBy(() -> frames.read()).isInstanceOf(EOFException.class);
  }

  @ParameterizedTest
  @ValueSource(ints = {FrameChannel.MAX_FRAME_BYTES + 1, Integer.MAX_VALUE, -1})
  void aLengthBeyondTheLimitIsRefusedBeforeAnyByteOfTheBody(int length) throws Exception {
    raw.write(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(length).flip());
    assertThatThrownBy(() -> frames.read())
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining(Long.toString(Integer.toUnsignedLong(length)));
  }

  @Test
  void aLyingLengthCostsLittleMoreThanTheBytesThatCame() throws Exception {
    raw.write(
        ByteBuffer.allocate(12)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt(0, FrameChannel.MAX_FRAME_BYTES));
    raw.close();
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadAllocatedBytes();
    assertThatThrownBy(() -> frames.read())
        .isInstanceOf(EOFException.class)
        .hasMessageContaining("found 8");
    assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(16 << 20);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "[]", "1", "{", "{\"a\":1}{}", "{\"a\":1,\"a\":2}"})
  void whatIsNoJsonObjectIsRefused(String body) throws Exception {
    raw.write(ByteBuffer.wrap(framed(body)));
    assertThatThrownBy(() -> frames.read()).isInstanceOf(ProtocolException.class);
  }

  @Test
  void patienceWithASilentPeerEnds() {
    assertThatThrownBy(() -> frames.read(Duration.ofMillis(1)))
        .isInstanceOf(SocketTimeoutException.class);
  }

  @Test
  void closingEndsAReadThatWaits() throws Exception {
    CountDownLatch reading = new CountDownLatch(1);
    CompletableFuture<Throwable> ended = new CompletableFuture<>();
    Thread reader =
        Thread.ofVirtual()
            .start(() -> {
              reading.countDown();
              try {
                frames.read();
              } catch (IOException e) {
                ended.complete(e);
              }
            });
    reading.await();
    frames.close();
    assertThat(ended.get()).isInstanceOf(IOException.class);
    reader.join();
    assertThatThrownBy(() -> frames.read())
        .isInstanceOfAny(AsynchronousCloseException.class, IOException.class);
  }
}
