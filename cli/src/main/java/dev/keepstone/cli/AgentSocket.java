package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonReader;
import dev.keepstone.core.json.JsonWriter;
import java.io.EOFException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/// Questions to this node's agent (docs/spec/wire.md).
record AgentSocket(Path directory) {
  private static final int MAX_FRAME = 256 << 20;

  static AgentSocket of(Shell shell) throws IOException {
    String chosen = shell.environment().get("KEEPSTONE_AGENT_DIR");
    if (chosen != null && !chosen.isEmpty()) {
      return new AgentSocket(Path.of(chosen));
    }
    Object uid = Files.getAttribute(Path.of("/proc/self"), "unix:uid");
    return new AgentSocket(Path.of("/dev/shm/keepstone-" + uid));
  }

  Path path() {
    return directory.resolve("agent.sock");
  }

  /// Whether an agent takes connections.
  boolean answers() {
    try (SocketChannel _ = connect()) {
      return true;
    } catch (IOException _) {
      return false;
    }
  }

  /// One request without arguments and its answer.
  ///
  /// @throws KeepstoneException.AgentUnavailable where nobody answers
  Json.Obj ask(String verb) throws IOException {
    try (SocketChannel channel = connect()) {
      byte[] request = JsonWriter.bytes(Json.object().put("do", verb).build());
      ByteBuffer frame = ByteBuffer.allocate(4 + request.length).order(ByteOrder.LITTLE_ENDIAN);
      frame.putInt(request.length).put(request).flip();
      while (frame.hasRemaining()) {
        channel.write(frame);
      }
      int length = read(channel, 4).getInt();
      if (length < 0 || length > MAX_FRAME) {
        throw new IOException("a frame of " + Integer.toUnsignedString(length) + " bytes");
      }
      return JsonReader.readObject(read(channel, length).array());
    } catch (java.net.SocketException e) {
      throw new KeepstoneException.AgentUnavailable(
          "no agent answers: " + e.getMessage(), path().toString(), "keepstone agent start");
    }
  }

  private SocketChannel connect() throws IOException {
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      channel.connect(UnixDomainSocketAddress.of(path()));
      return channel;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private static ByteBuffer read(SocketChannel channel, int bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer) < 0) {
        throw new EOFException("the agent closed the connection");
      }
    }
    return buffer.flip();
  }
}
