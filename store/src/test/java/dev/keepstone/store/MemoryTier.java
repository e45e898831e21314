package dev.keepstone.store;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.store.tier.Put;
import dev.keepstone.store.tier.Tier;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/// A store in memory whose every act is done in one go: what the protocols are explored over. How a
/// put comes to be one act is the local tier's business, and tested there.
public final class MemoryTier implements Tier {
  private final Map<String, byte[]> objects = new TreeMap<>();

  /// Another one with the same objects, which goes its own way.
  public MemoryTier copy() {
    MemoryTier copy = new MemoryTier();
    copy.objects.putAll(objects);
    return copy;
  }

  @Override
  public Put put(String name, byte[] bytes) {
    byte[] standing = objects.putIfAbsent(name, bytes);
    return standing == null || Arrays.equals(standing, bytes)
        ? new Put.Committed()
        : new Put.Lost(standing);
  }

  @Override
  public Optional<byte[]> read(String name) {
    return Optional.ofNullable(objects.get(name));
  }

  @Override
  public List<Disk.Entry> entries(String directory) {
    return below(directory + "/");
  }

  @Override
  public List<Disk.Entry> root() {
    return below("");
  }

  private List<Disk.Entry> below(String prefix) {
    Map<String, Disk.Entry> entries = new TreeMap<>();
    objects.forEach((name, bytes) -> {
      if (name.startsWith(prefix)) {
        String rest = name.substring(prefix.length());
        int slash = rest.indexOf('/');
        entries.put(
            slash < 0 ? rest : rest.substring(0, slash),
            slash < 0
                ? new Disk.Entry(rest, bytes.length, Disk.Kind.FILE)
                : new Disk.Entry(rest.substring(0, slash), 0, Disk.Kind.DIRECTORY));
      }
    });
    return new ArrayList<>(entries.values());
  }

  @Override
  public void delete(String name) {
    objects.remove(name);
  }

  @Override
  public OpenFile createShard(String name) {
    throw new AssertionError("no shards in memory: " + name);
  }

  @Override
  public OpenFile openShard(String name) {
    throw new AssertionError("no shards in memory: " + name);
  }

  @Override
  public void syncDirectory(String directory) {}

  @Override
  public long usableBytes() {
    return Long.MAX_VALUE;
  }

  @Override
  public Duration staleness() {
    return Duration.ZERO;
  }

  @Override
  public String describe(String name) {
    return name;
  }

  /// Tells all names and contents.
  public String fingerprint() {
    StringBuilder text = new StringBuilder();
    objects.forEach((name, bytes) ->
        text.append(name)
            .append('=')
            .append(Crc32.hex(Crc32.of(bytes, 0, bytes.length)))
            .append('\n'));
    return text.toString();
  }
}
