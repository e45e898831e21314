package dev.keepstone.bench;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.store.tier.Put;
import dev.keepstone.store.tier.Tier;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/// A tier that counts what is asked of it, as an object store would bill it.
final class CountedTier implements Tier {
  private final Tier tier;
  long puts;
  long reads;
  long readBytes;
  long lists;
  long listed;
  long syncs;

  CountedTier(Tier tier) {
    this.tier = tier;
  }

  long requests() {
    return puts + reads + lists;
  }

  void reset() {
    puts = 0;
    reads = 0;
    readBytes = 0;
    lists = 0;
    listed = 0;
    syncs = 0;
  }

  @Override
  public Put put(String name, byte[] bytes) {
    puts++;
    return tier.put(name, bytes);
  }

  @Override
  public Optional<byte[]> read(String name) {
    reads++;
    Optional<byte[]> bytes = tier.read(name);
    readBytes += bytes.map(read -> read.length).orElse(0);
    return bytes;
  }

  @Override
  public List<Disk.Entry> entries(String directory) {
    lists++;
    List<Disk.Entry> entries = tier.entries(directory);
    listed += entries.size();
    return entries;
  }

  @Override
  public Optional<Instant> modified(String name) {
    return tier.modified(name);
  }

  @Override
  public List<Disk.Entry> root() {
    return tier.root();
  }

  @Override
  public void delete(String name) {
    tier.delete(name);
  }

  @Override
  public OpenFile createShard(String name) {
    return tier.createShard(name);
  }

  @Override
  public OpenFile openShard(String name) {
    return tier.openShard(name);
  }

  @Override
  public void syncDirectory(String directory) {
    syncs++;
    tier.syncDirectory(directory);
  }

  @Override
  public long usableBytes() {
    return tier.usableBytes();
  }

  @Override
  public Duration staleness() {
    return tier.staleness();
  }

  @Override
  public String describe(String name) {
    return tier.describe(name);
  }
}
