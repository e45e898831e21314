package dev.keepstone.client;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.core.json.JsonException;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.FrameChannel;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.RequestCodec;
import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// One connection to the agent: requests go out in order, answers come back in the same order.
///
/// Who only tells does not wait for its answer; whoever next asks reads it on the way to its own.
/// Writing and reading have a lock each, so that a thread that tells is never held up by one that
/// waits for an answer.
final class AgentLink implements AutoCloseable {
  private final FrameChannel channel;
  private final ReentrantLock writing = new ReentrantLock();
  private final ReentrantLock reading = new ReentrantLock();
  // Guarded by itself: appended under `writing`, taken from under `reading`.
  private final Deque<CompletableFuture<Json.Obj>> expected = new ArrayDeque<>();

  private AgentLink(FrameChannel channel) {
    this.channel = channel;
  }

  /// Connects, asking the starter once where nobody listens.
  static AgentLink connect(AgentDirectory directory, AgentStarter starter) {
    directory.create();
    AgentLink link = tryConnect(directory);
    if (link == null) {
      starter.start(directory);
      link = tryConnect(directory);
    }
    if (link == null) {
      throw new KeepstoneException.AgentUnavailable(
          "an agent was started and does not answer",
          directory.socket().toString(),
          "look at " + directory.log());
    }
    return link;
  }

  private static @Nullable AgentLink tryConnect(AgentDirectory directory) {
    try {
      SocketChannel socket = SocketChannel.open(UnixDomainSocketAddress.of(directory.socket()));
      return new AgentLink(new FrameChannel(socket));
    } catch (IOException e) {
      // No socket, or one whose agent is gone.
      return null;
    }
  }

  /// Asks and waits for the answer.
  ///
  /// @throws IOException where the connection ends
  /// @throws KeepstoneException what the agent answers instead
  <A extends Answer> A ask(Request<A> request) throws IOException {
    CompletableFuture<Json.Obj> answer = tell(request);
    while (!answer.isDone()) {
      reading.lock();
      try {
        if (!answer.isDone()) {
          readOne();
        }
      } finally {
        reading.unlock();
      }
    }
    try {
      return request.readAnswer(answer.resultNow());
    } catch (JsonException | IllegalArgumentException e) {
      throw new KeepstoneException.Unsupported(
          "the answer is not understood: " + e.getMessage(),
          "request \"" + request.verb() + "\"",
          "use a client and an agent of one version");
    }
  }

  /// Sends a request whose answer is read later, by who asks next.
  CompletableFuture<Json.Obj> tell(Request<?> request) throws IOException {
    writing.lock();
    try {
      CompletableFuture<Json.Obj> answer = new CompletableFuture<>();
      synchronized (expected) {
        expected.addLast(answer);
      }
      channel.write(RequestCodec.toJson(request));
      return answer;
    } finally {
      writing.unlock();
    }
  }

  private void readOne() throws IOException {
    Json.Obj frame =
        channel.read().orElseThrow(() -> new EOFException("the agent closed the connection"));
    CompletableFuture<Json.Obj> answer;
    synchronized (expected) {
      answer = expected.removeFirst();
    }
    answer.complete(frame);
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // The connection is of no more use either way.
    }
  }
}
