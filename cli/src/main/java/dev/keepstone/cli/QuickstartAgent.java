package dev.keepstone.cli;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.core.json.Json;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.place.Outlives;
import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Event;
import dev.keepstone.segment.wire.FrameChannel;
import dev.keepstone.segment.wire.Request;
import dev.keepstone.segment.wire.RequestCodec;
import java.io.EOFException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// The quickstart's own agent, in a place of its own: it shares nothing with an agent that serves
/// real training on this node. Closing it ends it and removes its place.
final class QuickstartAgent implements AutoCloseable {
  private static final long BUDGET = 512L << 20;
  private static final int STOP_SECONDS = 2;

  private final Path place;
  private final AgentSocket socket;
  private final Answer.Status status;
  private final FrameChannel events;
  private volatile boolean closing;

  private QuickstartAgent(Path place, AgentSocket socket, BlockingQueue<QuickstartNews> news)
      throws IOException {
    this.place = place;
    this.socket = socket;
    this.status = socket.ask(new Request.Status());
    this.events = follow();
    Thread reader = new Thread(() -> read(news), "events");
    reader.setDaemon(true);
    reader.start();
  }

  /// Starts it the way `keepstone agent start` does, and follows its events.
  static QuickstartAgent start(Console console, Path place, BlockingQueue<QuickstartNews> news)
      throws IOException, InterruptedException {
    Shell shell = console.shell();
    Map<String, String> environment = new HashMap<>(shell.environment());
    environment.put(AgentDirectory.VARIABLE, place.toString());
    Shell there =
        new Shell(
            shell.out(),
            shell.err(),
            shell.outTerminal(),
            shell.errTerminal(),
            shell.columns(),
            environment,
            shell.host());
    AgentStart start = new AgentStart();
    start.budget = BUDGET;
    try {
      start.run(new Console(there, Console.Form.DOCUMENT, false));
      return new QuickstartAgent(place, AgentSocket.of(there), news);
    } catch (IOException | InterruptedException | RuntimeException e) {
      // Half started is not ours to close; at this time the agent is our only child.
      ProcessHandle.current().children().forEach(ProcessHandle::destroyForcibly);
      remove(place);
      throw e;
    }
  }

  /// Its directory.
  Path place() {
    return place;
  }

  long pid() {
    return status.pid();
  }

  long budget() {
    return status.budget();
  }

  Outlives outlives() {
    return status.outlives();
  }

  /// Limits the drain of a run from now on.
  ///
  /// @param bytesPerSecond null for no limit
  void limit(Path store, String run, @Nullable Long bytesPerSecond) throws IOException {
    socket.ask(new Request.Rate(store.toString(), run, bytesPerSecond, null));
  }

  /// A connection of its own, on which events come until it is closed.
  private FrameChannel follow() throws IOException {
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      channel.connect(UnixDomainSocketAddress.of(socket.path()));
      FrameChannel frames = new FrameChannel(channel);
      Request.Events all = new Request.Events(0);
      frames.write(RequestCodec.toJson(all));
      Json.Obj frame = frames.read().orElseThrow(() -> new EOFException("no answer"));
      Answer.Ok _ = all.readAnswer(frame);
      return frames;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private void read(BlockingQueue<QuickstartNews> news) {
    String why = "it closed the connection";
    try {
      for (Optional<Json.Obj> frame = events.read(); frame.isPresent(); frame = events.read()) {
        news.add(new QuickstartNews.Told(Event.read(frame.get())));
      }
    } catch (IOException | RuntimeException e) {
      why = e.toString();
    }
    if (!closing) {
      news.add(new QuickstartNews.AgentEnded(why));
    }
  }

  @Override
  public void close() throws IOException {
    closing = true;
    // An interrupted thread may neither write to a channel nor wait, and both must still be done.
    boolean interrupted = Thread.interrupted();
    try {
      ProcessHandle.of(pid()).ifPresent(this::end);
      events.close();
      remove(place);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void end(ProcessHandle process) {
    try {
      socket.ask(new Request.Stop(true));
      process.onExit().get(STOP_SECONDS, TimeUnit.SECONDS);
    } catch (IOException | KeepstoneException | ExecutionException | TimeoutException _) {
      process.destroyForcibly();
    } catch (InterruptedException _) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }

  private static void remove(Path place) throws IOException {
    if (!Files.exists(place)) {
      return;
    }
    List<Path> all;
    try (Stream<Path> walk = Files.walk(place)) {
      all = walk.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : all) {
      Files.deleteIfExists(path);
    }
  }
}
