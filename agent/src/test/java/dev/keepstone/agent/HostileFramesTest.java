package dev.keepstone.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Event;
import dev.keepstone.segment.wire.FrameChannel;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.RequestCodec;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What a broken or hostile client sends ends its own connection at most.
final class HostileFramesTest {
  @TempDir Path store;
  private Nodes node;

  @BeforeEach
  void begin() throws IOException {
    node = new Nodes(4);
    node.start();
  }

  @AfterEach
  void end() throws Exception {
    node.close();
  }

  private SocketChannel connect() throws IOException {
    return SocketChannel.open(UnixDomainSocketAddress.of(node.directory.socket()));
  }

  private static ByteBuffer frame(int length, String body) {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(4 + bytes.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(length)
        .put(bytes)
        .flip();
  }

  @Test
  void theSocketIsClosedToOthers() throws IOException {
    assertThat(
            PosixFilePermissions.toString(Files.getPosixFilePermissions(node.directory.socket())))
        .isEqualTo("rw-------");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[1,2]", "{\"do\":", "", "\u0000\u0000", "{\"do\":\"status\"} x"})
  void aFrameThatIsNoJsonObjectEndsItsConnectionAlone(String body) throws IOException {
    try (SocketChannel bad = connect()) {
      bad.write(frame(body.getBytes(StandardCharsets.UTF_8).length, body));
      requireEnded(bad);
    }
    requireAlive();
  }

  @Test
  void aLengthOfTwoGigabytesEndsItsConnectionAlone() throws IOException {
    try (SocketChannel bad = connect()) {
      bad.write(frame(Integer.MAX_VALUE, "{}"));
      requireEnded(bad);
    }
    requireAlive();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void randomBytesEndTheirConnectionsAlone(long seed) throws IOException {
    Random random = new Random(seed);
    for (int i = 0; i < 50; i++) {
      byte[] noise = new byte[1 + random.nextInt(200)];
      random.nextBytes(noise);
      try (SocketChannel bad = connect()) {
        bad.write(ByteBuffer.wrap(noise));
      }
    }
    requireAlive();
  }

  @Test
  void anUnknownVerbIsAnsweredAndTheConnectionGoesOn() throws IOException {
    try (FrameChannel frames = new FrameChannel(connect())) {
      frames.write(Json.object().put("do", "fly").build());
      assertThat(frames.read().orElseThrow().object("error").text("type")).isEqualTo("Unsupported");
      frames.write(RequestCodec.toJson(new Request.Status()));
      assertThat(frames.read().orElseThrow().bool("ok")).isTrue();
    }
  }

  @Test
  void moreTensorsThanTheAgentHasMemoryForAreRefusedBeforeAnyIsMade() throws IOException {
    String pieces = "{},".repeat(RequestCodec.MAX_PIECES);
    String body =
        "{\"do\":\"register\",\"pieces\":["
            + pieces
            + "{}],\"state\":{},\"state_bytes\":0,\"slots\":2,\"configs\":{},\"provenance\":{}}";
    try (SocketChannel channel = connect();
        FrameChannel frames = new FrameChannel(channel)) {
      frames.writeRaw(frame(body.length(), body).array());
      Json.Obj error = frames.read().orElseThrow().object("error");
      assertThat(error.text("type")).isEqualTo("Refused");
      assertThat(error.text("what")).contains("up to 400000").contains("found 400001");
    }
    requireAlive();
  }

  @Test
  void everyVerbOfATrainerNeedsAGreeting() throws IOException {
    RawTrainer stranger = new RawTrainer(node.directory, "00112233445566ff");
    List<Request<?>> requests =
        List.of(
            new Request.Open("1-1"),
            new Request.Want(List.of()),
            new Request.Next(),
            new Request.Done(),
            new Request.Lend(1),
            new Request.Sealed(1, 0, 1, 1),
            new Request.Refuse(1, "skipped", ""),
            new Request.Wait(null, 1),
            new Request.Close());
    try (FrameChannel frames = new FrameChannel(connect())) {
      for (Request<?> request : requests) {
        frames.write(RequestCodec.toJson(request));
        assertThat(frames.read().orElseThrow().object("error").text("type"))
            .as(request.verb())
            .isEqualTo("Refused");
      }
    }
    stranger.greet();
    assertThatThrownBy(() -> stranger.register(RawTrainer.floats("model", 1, "a"), null))
        .isInstanceOf(KeepstoneException.Refused.class)
        .hasMessageContaining("has not joined a start");
    stranger.close();
  }

  @Test
  void aStoreMustBeNamedByItsWholePath() throws IOException {
    try (RawTrainer trainer = node.trainer("00112233445566ff")) {
      assertThatThrownBy(() -> trainer.start(Path.of("ckpts"), "t", 1))
          .isInstanceOf(KeepstoneException.Refused.class)
          .hasMessageContaining("absolute");
    }
  }

  @Test
  void eventsAreStreamedFromTheOneAskedFor() throws IOException {
    try (RawTrainer trainer = node.trainer("00112233445566ff");
        FrameChannel frames = new FrameChannel(connect())) {
      frames.write(RequestCodec.toJson(new Request.Events(0)));
      assertThat(frames.read().orElseThrow().bool("ok")).isTrue();
      trainer.start(store, "t1", 3);
      trainer.register(RawTrainer.floats("model", 1000, "a"), null);
      trainer.save(7);
      List<String> names = new ArrayList<>();
      while (!names.contains("committed")) {
        Event event = Event.read(frames.read().orElseThrow());
        assertThat(event.sequence()).isEqualTo(names.size() + 1);
        names.add(event.name());
      }
      assertThat(names)
          .containsSubsequence(
              "started", "registered", "sealed", "draining", "drained", "part", "committed");
    }
  }

  /// Closed, or reset where the agent left bytes unread.
  private static void requireEnded(SocketChannel channel) {
    int count;
    try {
      count = channel.read(ByteBuffer.allocate(1));
    } catch (IOException e) {
      count = -1;
    }
    assertThat(count).isEqualTo(-1);
  }

  private void requireAlive() throws IOException {
    try (FrameChannel frames = new FrameChannel(connect())) {
      frames.write(RequestCodec.toJson(new Request.Status()));
      assertThat(frames.read().orElseThrow().integer("pid"))
          .isEqualTo(ProcessHandle.current().pid());
    }
  }
}
