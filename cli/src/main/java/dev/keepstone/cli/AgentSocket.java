package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.FrameChannel;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.RequestCodec;
import java.io.EOFException;
import java.io.IOException;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;

/// Questions to this node's agent (docs/spec/wire.md), one connection each.
record AgentSocket(Path path) {
  static AgentSocket of(Shell shell) {
    return new AgentSocket(AgentDirectory.of(shell.environment()).socket());
  }

  /// Whether an agent takes connections.
  boolean answers() {
    try (SocketChannel _ = connect()) {
      return true;
    } catch (IOException _) {
      return false;
    }
  }

  /// One request and its answer.
  ///
  /// @throws KeepstoneException.AgentUnavailable where nobody answers, else what the agent answered
  <A extends Answer> A ask(Request<A> request) throws IOException {
    try (FrameChannel frames = new FrameChannel(connect())) {
      frames.write(RequestCodec.toJson(request));
      Json.Obj frame =
          frames.read().orElseThrow(() -> new EOFException("the agent closed the connection"));
      return request.readAnswer(frame);
    } catch (SocketException | EOFException e) {
      throw new KeepstoneException.AgentUnavailable(
          "no agent answers: " + e.getMessage(), path.toString(), "keepstone agent start");
    }
  }

  private SocketChannel connect() throws IOException {
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      channel.connect(UnixDomainSocketAddress.of(path));
      return channel;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }
}
