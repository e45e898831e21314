package dev.keepstone.store;

import dev.keepstone.core.bytes.Crc32;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.store.tier.Put;
import dev.keepstone.store.tier.Tier;
import dev.keepstone.testkit.Turns;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/// A tier as one actor of an exploration has it: each act that others can see is a turn. Reading an
/// object is none, because objects never change and only listings tell when they came; nor is the
/// removal of what no protocol looks at.
public final class TurnsTier implements Tier {
  private final Tier tier;
  private final Turns turns;
  private final boolean facts;

  /// Where no protocol that is explored rests on facts: looking at them is no turn, which would
  /// only multiply orders.
  public TurnsTier(Tier tier, Turns turns) {
    this(tier, turns, false);
  }

  /// @param facts whether acts on facts are turns too
  public TurnsTier(Tier tier, Turns turns, boolean facts) {
    this.tier = tier;
    this.turns = turns;
    this.facts = facts;
  }

  private boolean quiet(String name) {
    return !facts && name.endsWith("/facts");
  }

  @Override
  public Put put(String name, byte[] bytes) {
    return turns.take("put " + name, () -> tier.put(name, bytes));
  }

  @Override
  public Optional<byte[]> read(String name) {
    turns.requireAlive();
    Optional<byte[]> bytes = tier.read(name);
    turns.saw(
        "read "
            + name
            + bytes.map(found -> Crc32.hex(Crc32.of(found, 0, found.length))).orElse(" absent"));
    return bytes;
  }

  @Override
  public List<Disk.Entry> entries(String directory) {
    if (quiet(directory)) {
      turns.requireAlive();
      List<Disk.Entry> found = tier.entries(directory);
      turns.saw("list " + directory + found);
      return found;
    }
    return turns.take(
        "list " + directory,
        () ->
            tier.entries(directory).stream()
                .sorted(Comparator.comparing(Disk.Entry::name))
                .toList());
  }

  @Override
  public List<Disk.Entry> root() {
    return turns.take("list the root", tier::root);
  }

  @Override
  public void delete(String name) {
    if (name.contains("/manifests/")
        || name.contains("/part-")
        || name.contains("/holds/")
        || facts && (name.contains("/tombs/") || name.contains("/facts/"))) {
      turns.take(
          "delete " + name,
          () -> {
            tier.delete(name);
            return "done";
          });
    } else {
      turns.requireAlive();
      tier.delete(name);
    }
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
    turns.requireAlive();
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
