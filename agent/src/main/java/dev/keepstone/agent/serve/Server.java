package dev.keepstone.agent.serve;

import dev.keepstone.agent.events.EventLog;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.wire.FrameChannel;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import jdk.net.ExtendedSocketOptions;

/// The listening socket and its connections.
public final class Server implements AutoCloseable {
  /// Connections at a time. A node has a trainer per device and a few people looking; more is a
  /// leak on the other side, and refused before it costs a thread.
  public static final int MAX_CONNECTIONS = 512;

  private static final Duration LEAVE_PATIENCE = Duration.ofSeconds(2);

  private final EventLog events;
  private final Supplier<Talk> talks;
  private final UserPrincipal owner;
  private final ServerSocketChannel listening;
  private final Map<Connection, Thread> connections = new ConcurrentHashMap<>();

  private Server(Path socket, EventLog events, Supplier<Talk> talks, ServerSocketChannel listening)
      throws IOException {
    this.events = events;
    this.talks = talks;
    this.owner = Files.getOwner(socket);
    this.listening = listening;
  }

  /// Binds and begins to accept. The socket appears under its name only when it is ready and closed
  /// to other users, and takes the place of one that a dead agent left.
  ///
  /// @param nonce of the agent
  /// @param talks gives one conversation per connection
  public static Server open(
      AgentDirectory directory, String nonce, EventLog events, Supplier<Talk> talks)
      throws IOException {
    Path socket = directory.socket();
    Path temporary = directory.temporarySocket(nonce);
    Files.deleteIfExists(temporary);
    ServerSocketChannel listening = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      listening.bind(UnixDomainSocketAddress.of(temporary));
      Files.setPosixFilePermissions(temporary, PosixFilePermissions.fromString("rw-------"));
      Files.move(temporary, socket, StandardCopyOption.ATOMIC_MOVE);
      Server server = new Server(socket, events, talks, listening);
      Thread.ofPlatform().daemon().name("accept").start(server::accept);
      return server;
    } catch (IOException e) {
      listening.close();
      throw e;
    }
  }

  private void accept() {
    while (true) {
      try {
        SocketChannel channel = listening.accept();
        begin(channel);
      } catch (ClosedChannelException e) {
        return;
      } catch (IOException e) {
        events.note("accepting a connection failed: " + e.getMessage());
        if (!listening.isOpen()) {
          return;
        }
      }
    }
  }

  private void begin(SocketChannel channel) throws IOException {
    UserPrincipal peer = channel.getOption(ExtendedSocketOptions.SO_PEERCRED).user();
    if (!peer.equals(owner)) {
      events.note("closed the connection of another user, " + peer.getName());
      channel.close();
    } else if (connections.size() >= MAX_CONNECTIONS) {
      events.note("closed a connection beyond " + MAX_CONNECTIONS);
      channel.close();
    } else {
      Connection connection =
          new Connection(new FrameChannel(channel), talks.get(), events, connections::remove);
      Thread thread = Thread.ofPlatform().daemon().name("connection").unstarted(connection);
      connections.put(connection, thread);
      thread.start();
    }
  }

  /// Stops accepting, ends every connection and waits a little until they have let go of what they
  /// used. The socket's name stays.
  @Override
  public void close() throws IOException {
    listening.close();
    Map<Connection, Thread> open = Map.copyOf(connections);
    for (Map.Entry<Connection, Thread> connection : open.entrySet()) {
      connection.getKey().close();
      // It may wait for a drain, or for a slot.
      connection.getValue().interrupt();
    }
    try {
      for (Thread connection : open.values()) {
        connection.join(LEAVE_PATIENCE);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
