package dev.keepstone.segment.place;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.memory.ThisUser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// The one directory per user and node under which an agent and its clients meet.
///
/// It is owned by the user and closed to others, so that names in it need no further proof.
///
/// @param path absolute
public record AgentDirectory(Path path) {
  /// Names the directory where the default does not fit.
  public static final String VARIABLE = "KEEPSTONE_AGENT_DIR";

  /// What a socket's path may have at most: `sun_path` less its closing zero.
  private static final int MAX_SOCKET_PATH_BYTES = 107;

  public AgentDirectory {
    path = path.toAbsolutePath().normalize();
  }

  /// The directory of this user: [#VARIABLE], else under `/dev/shm`, so that it lives as long as
  /// the segments in it, else under `/tmp`.
  public static AgentDirectory of(Map<String, String> environment) {
    String named = environment.get(VARIABLE);
    if (named != null && !named.isEmpty()) {
      return new AgentDirectory(Path.of(named));
    }
    Path memory = Path.of("/dev/shm");
    Path parent = Files.isDirectory(memory) && Files.isWritable(memory) ? memory : Path.of("/tmp");
    return new AgentDirectory(parent.resolve("keepstone-" + ThisUser.id()));
  }

  /// Makes the directory (mode 0700) where it is missing, and checks it.
  ///
  /// @throws KeepstoneException.Refused where another user could have put it there or write to it
  public void create() {
    try {
      Path parent = path.getParent();
      if (parent != null) {
        Files.createDirectories(parent);
      }
      Files.createDirectory(
          path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    } catch (FileAlreadyExistsException e) {
      // Checked below, like one that somebody else makes just now.
    } catch (IOException e) {
      throw KeepstoneException.from(e, "make the agent's directory", path.toString());
    }
    check();
  }

  /// Checks that the directory is there and that only this user can write to it.
  ///
  /// @throws KeepstoneException.NotFound where it is missing
  /// @throws KeepstoneException.Refused where another user could have put it there or write to it
  public void check() {
    PosixFileAttributes attributes;
    int owner;
    try {
      attributes = Files.readAttributes(path, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      owner = (int) Files.getAttribute(path, "unix:uid", LinkOption.NOFOLLOW_LINKS);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "look at the agent's directory", path.toString());
    }
    if (!attributes.isDirectory()) {
      throw refused(attributes.isSymbolicLink() ? "a symbolic link" : "no directory");
    }
    if (owner != ThisUser.id()) {
      throw refused("a directory of user " + owner + ", expected user " + ThisUser.id());
    }
    Set<PosixFilePermission> mode = attributes.permissions();
    if (mode.contains(PosixFilePermission.GROUP_WRITE)
        || mode.contains(PosixFilePermission.OTHERS_WRITE)) {
      throw refused("mode " + PosixFilePermissions.toString(mode) + ", which others can write to");
    }
  }

  private KeepstoneException.Refused refused(String found) {
    return new KeepstoneException.Refused(
        "the agent's directory is not safe: found " + found,
        path.toString(),
        "remove it, or set " + VARIABLE + " to a directory of your own with mode 0700");
  }

  /// The socket.
  ///
  /// @throws KeepstoneException.Refused where its path is longer than a socket's may be
  public Path socket() {
    Path socket = path.resolve("agent.sock");
    int length = socket.toString().getBytes(StandardCharsets.UTF_8).length;
    // The socket is bound under a temporary name first, which is longer.
    int most = MAX_SOCKET_PATH_BYTES - TEMPORARY_BYTES;
    if (length > most) {
      throw new KeepstoneException.Refused(
          "the path of a socket has at most " + most + " bytes, found " + length,
          socket.toString(),
          "set " + VARIABLE + " to a shorter path");
    }
    return socket;
  }

  private static final int TEMPORARY_BYTES = 13;

  /// Where the socket is bound before it is made 0600 and renamed to [#socket].
  ///
  /// @param nonce of the agent, 8 hex digits
  public Path temporarySocket(String nonce) {
    return path.resolve("agent.sock." + nonce + ".tmp");
  }

  /// The lock of the one agent that lives.
  public Path lock() {
    return path.resolve("agent.lock");
  }

  /// What the living agent says about itself, an [AgentInfo].
  public Path info() {
    return path.resolve("agent.json");
  }

  /// The agent's log.
  public Path log() {
    return path.resolve("agent.log");
  }

  /// The agent's events.
  public Path events() {
    return path.resolve("events.jsonl");
  }

  /// The lock that a client holds from before its greeting until its end.
  public Path clientLock(String client) {
    return path.resolve(client + ".lock");
  }

  /// A window through which clients restore from the store.
  ///
  /// @param name 16 hex digits
  public Path window(String name) {
    return path.resolve(name + ".window");
  }

  /// The segment of a client's k-th layout.
  public Path segment(String client, int layout) {
    return path.resolve(client + "." + layout + ".segment");
  }

  /// All segments, in the order of their names.
  public List<Path> segments() {
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> names = Files.newDirectoryStream(path, "*.segment")) {
      names.forEach(found::add);
    } catch (IOException e) {
      throw KeepstoneException.from(e, "list segments", path.toString());
    }
    return found.stream().sorted().toList();
  }
}
