package dev.keepstone.testkit;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// A server's file system as several hosts see it, each through caches of its own.
///
/// Fault model, that of NFS with attribute caches:
/// - a host may answer a listing from what the server told it of that directory up to `staleness`
///   ago. It then overlooks names that other hosts have made since, still lists names that they
///   have removed, and tells old sizes;
/// - so with a look-up that finds nothing: "no such file" may be up to `staleness` old, from a
///   listing or from an earlier look-up of the same name;
/// - a host sees its own changes at once, and never goes back behind what it saw of a directory;
/// - what is found is the server's: opening a name that is gone fails, and bytes are never stale
///   (close-to-open);
/// - making, linking and moving to a name are decided by the server, so that "exists" may be
///   answered for a name that the same host does not find;
/// - whether a cache answers is drawn each time.
///
/// Lost answers ("exists" for one's own success, input/output errors that took effect) are
/// [FaultyDisk]'s, put in front of a host's disk; a crash of the server is [MemoryDisk]'s.
///
/// Safe for use by several threads.
public final class NetworkDisk {
  private final MemoryDisk server;
  private final InstantSource clock;
  private final Duration staleness;
  private final RandomGenerator luck;

  /// @param clock says how old a cache is
  /// @param staleness how old an answer may be
  /// @param luck draws whether a cache answers
  public NetworkDisk(
      MemoryDisk server, InstantSource clock, Duration staleness, RandomGenerator luck) {
    this.server = server;
    this.clock = clock;
    this.staleness = staleness;
    this.luck = luck;
  }

  /// The file system as one more host sees it.
  public Disk host() {
    return new Host();
  }

  /// What a host knows of a directory.
  private record Seen(Instant at, Map<String, Disk.Entry> entries) {}

  private final class Host implements Disk, GatedDisk.Steps {
    private final Map<Path, Seen> directories = new HashMap<>();
    private final Map<Path, Instant> absent = new HashMap<>();
    private final Set<Path> own = new HashSet<>();

    private boolean answers(@Nullable Instant seen) {
      return seen != null
          && Duration.between(seen, clock.instant()).compareTo(staleness) < 0
          && luck.nextInt(4) > 0;
    }

    @Override
    public synchronized List<Entry> list(Path directory) throws IOException {
      Path path = normal(directory);
      Map<String, Entry> now = new TreeMap<>();
      server.list(path).forEach(entry -> now.put(entry.name(), entry));
      Seen seen = directories.get(path);
      if (seen == null || !answers(seen.at)) {
        directories.put(path, new Seen(clock.instant(), now));
        absent.keySet().removeIf(name -> path.equals(name.getParent()));
        return List.copyOf(now.values());
      }
      List<Entry> entries = new ArrayList<>();
      seen.entries.forEach((name, entry) -> {
        Entry current = now.get(name);
        entries.add(current != null && own.contains(path.resolve(name)) ? current : entry);
      });
      return entries;
    }

    @Override
    public synchronized OpenFile open(Path file) throws IOException {
      Path path = normal(file);
      if (answers(absent.get(path)) || overlooks(path)) {
        throw new NoSuchFileException(file.toString());
      }
      try {
        OpenFile found = server.open(path);
        knows(path, found.size());
        return found;
      } catch (NoSuchFileException e) {
        absent.put(path, clock.instant());
        throw e;
      }
    }

    /// What was found once is not overlooked afterwards.
    private void knows(Path path, long size) {
      absent.remove(path);
      Seen seen = directories.get(path.getParent());
      if (seen != null) {
        String name = String.valueOf(path.getFileName());
        seen.entries.putIfAbsent(name, new Entry(name, size, Kind.FILE));
      }
    }

    private boolean overlooks(Path path) {
      Seen seen = directories.get(path.getParent());
      return seen != null
          && !seen.entries.containsKey(String.valueOf(path.getFileName()))
          && answers(seen.at);
    }

    @Override
    public synchronized OpenFile create(Path file) throws IOException {
      OpenFile made = server.create(file);
      made(file, Kind.FILE);
      return made;
    }

    @Override
    public synchronized void link(Path file, Path name) throws IOException {
      server.link(file, name);
      made(name, Kind.FILE);
    }

    @Override
    public synchronized void renameToFree(Path file, Path name) throws IOException {
      server.renameToFree(file, name);
      gone(file);
      made(name, Kind.FILE);
    }

    @Override
    public synchronized void delete(Path file) throws IOException {
      server.delete(file);
      gone(file);
    }

    @Override
    public synchronized void createDirectories(Path directory) throws IOException {
      server.createDirectories(directory);
      for (Path at = normal(directory); at.getParent() != null; at = at.getParent()) {
        made(at, Kind.DIRECTORY);
      }
    }

    @Override
    public boolean isDirectory(Path directory) {
      return server.isDirectory(directory);
    }

    @Override
    public synchronized void createDirectory(Path directory) throws IOException {
      server.createDirectory(directory);
      made(directory, Kind.DIRECTORY);
    }

    @Override
    public Optional<Instant> modified(Path file) {
      return server.modified(file);
    }

    @Override
    public void syncDirectory(Path directory) throws IOException {
      server.syncDirectory(directory);
    }

    @Override
    public long usableBytes(Path directory) {
      return server.usableBytes(directory);
    }

    private void made(Path name, Kind kind) {
      Path path = normal(name);
      own.add(path);
      absent.remove(path);
      Seen seen = directories.get(path.getParent());
      if (seen != null) {
        String text = String.valueOf(path.getFileName());
        seen.entries.put(text, new Entry(text, 0, kind));
      }
    }

    private void gone(Path name) {
      Path path = normal(name);
      own.remove(path);
      directories.remove(path);
      Seen seen = directories.get(path.getParent());
      if (seen != null) {
        seen.entries.remove(String.valueOf(path.getFileName()));
      }
    }

    private static Path normal(Path path) {
      return path.toAbsolutePath().normalize();
    }
  }
}
