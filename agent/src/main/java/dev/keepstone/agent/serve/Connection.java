package dev.keepstone.agent.serve;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.AnswerCodec;
import dev.keepstone.segment.wire.Event;
import dev.keepstone.segment.wire.FrameChannel;
import dev.keepstone.segment.wire.HttpException;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.RequestCodec;
import dev.keepstone.segment.wire.WireError;
import java.io.IOException;
import java.util.Optional;
import java.util.function.Consumer;

/// One connection: a request, its answer, the next request.
final class Connection implements Runnable {
  private static final long STREAM_PATIENCE_MILLIS = 1000;

  private final FrameChannel frames;
  private final Talk talk;
  private final EventLog events;
  private final Consumer<Connection> gone;

  Connection(FrameChannel frames, Talk talk, EventLog events, Consumer<Connection> gone) {
    this.frames = frames;
    this.talk = talk;
    this.events = events;
    this.gone = gone;
  }

  @Override
  public void run() {
    try (frames) {
      talk();
    } catch (IOException e) {
      events.note("a connection ended: " + e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      try {
        talk.ended();
      } finally {
        // Last: who waits for this connection waits until its conversation has let go.
        gone.accept(this);
      }
    }
  }

  private void talk() throws IOException, InterruptedException {
    try {
      while (serve()) {
        // One after the other, in order.
      }
    } catch (HttpException e) {
      Page.answer(frames, talk::metrics);
    }
  }

  /// @return whether to go on
  private boolean serve() throws IOException, InterruptedException {
    Request<?> request;
    try {
      Optional<Request<?>> read = read();
      if (read.isEmpty()) {
        return false;
      }
      request = read.get();
    } catch (KeepstoneException e) {
      frames.write(WireError.frame(e));
      return true;
    }
    try {
      frames.write(answer(request));
    } finally {
      talk.answered(request);
    }
    if (request instanceof Request.Events(long after)) {
      stream(after);
    }
    return true;
  }

  /// A method of its own, so that a frame of many MiB is no longer held while its request is
  /// answered.
  private Optional<Request<?>> read() throws IOException {
    return frames.read().map(RequestCodec::read);
  }

  private Json.Obj answer(Request<?> request) throws InterruptedException {
    try {
      return AnswerCodec.toJson(talk.answer(request));
    } catch (KeepstoneException e) {
      return WireError.frame(e);
    } catch (RuntimeException e) {
      events.note("bug: " + request.verb() + ": " + e + " at " + origin(e));
      return WireError.frame(
          new KeepstoneException.Failed(
              request.verb() + ": " + e, "the agent", "report this with agent.log", e));
    }
  }

  private static String origin(Throwable failure) {
    StackTraceElement[] trace = failure.getStackTrace();
    return trace.length == 0 ? "an unknown place" : trace[0].toString();
  }

  private void stream(long from) throws IOException, InterruptedException {
    long after = from;
    while (!events.closed()) {
      for (Event event : events.await(after, STREAM_PATIENCE_MILLIS)) {
        frames.write(event.toJson());
        after = event.sequence();
      }
    }
  }

  void close() throws IOException {
    frames.close();
  }
}
