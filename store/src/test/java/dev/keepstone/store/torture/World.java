package dev.keepstone.store.torture;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.format.safetensors.SafetensorsEncoder;
import dev.keepstone.core.tensor.Dtype;
import dev.keepstone.core.tensor.Shape;
import dev.keepstone.core.tensor.Tensor;
import dev.keepstone.store.run.Run;
import dev.keepstone.store.run.StoreRoot;
import dev.keepstone.store.tier.LocalTier;
import dev.keepstone.store.tier.StoreClock;
import dev.keepstone.store.tier.Tier;
import dev.keepstone.testkit.MemoryDisk;
import dev.keepstone.testkit.NetworkDisk;
import dev.keepstone.testkit.SettableClock;
import dev.keepstone.testkit.Turns;
import dev.keepstone.testkit.TurnsDisk;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;

/// What processes of a torture share: the disk, the time and the chance.
final class World {
  static final Path ROOT = Path.of("/data/ckpts");
  static final Path COPIES = Path.of("/data/copies");
  static final Path SOURCES = Path.of("/data/source");
  static final Path SOURCE = SOURCES.resolve("model.safetensors");
  static final String RUN = "gpt";

  final RandomGenerator luck;
  final Promises promises = new Promises();

  private static final Instant BEGIN = Instant.parse("2026-11-24T07:30:00Z");

  private final SettableClock hour = new SettableClock(BEGIN);
  private final Duration staleness;
  private MemoryDisk disk = new MemoryDisk(hour);
  private NetworkDisk network;
  private int nonces;

  /// @param staleness of the network that lies between processes and disk; zero: there is none
  World(RandomGenerator luck, Duration staleness) throws IOException {
    this.luck = luck;
    this.staleness = staleness;
    writeSource();
    network = new NetworkDisk(disk, hour, staleness, luck);
  }

  /// A file that can be imported.
  private void writeSource() throws IOException {
    Tensor tensor = new Tensor("w", Dtype.F32, Shape.of(4));
    byte[] header = SafetensorsEncoder.header(List.of(tensor), Map.of(), 8);
    disk.createDirectories(SOURCES);
    try (OpenFile file = disk.create(SOURCE)) {
      file.write(0, MemorySegment.ofArray(Arrays.copyOf(header, header.length + 16)));
      file.sync();
    }
    disk.syncDirectory(SOURCES);
  }

  /// The disk as it is on the server, or in the machine.
  MemoryDisk disk() {
    return disk;
  }

  /// The power goes and comes back a while later.
  void powerCut() {
    disk = disk.afterCrash(luck);
    network = new NetworkDisk(disk, hour, staleness, luck);
    pass(Duration.ofSeconds(luck.nextInt(600)));
  }

  void pass(Duration time) {
    hour.advance(time);
  }

  long seconds() {
    return Duration.between(BEGIN, hour.instant()).toSeconds();
  }

  /// 8 hex digits that nobody had before.
  String nonce() {
    return String.format("%08x", ++nonces);
  }

  /// The disk as a host sees it on which processes may come and go.
  Disk host() {
    return staleness.isZero() ? disk : network.host();
  }

  /// The disk as one process sees it, each operation a turn.
  static Disk disk(Disk host, Turns turns) {
    return new TurnsDisk(host, turns, (act, path) -> true);
  }

  /// The time as one process sees it: waiting lets it pass for everybody.
  StoreClock clock(Turns turns) {
    return StoreClock.of(
        hour,
        this::nanos,
        time ->
            turns.take(
                "wait " + time,
                () -> {
                  pass(time);
                  return "";
                }));
  }

  /// The time as a test sees it.
  StoreClock clock() {
    return StoreClock.of(hour, this::nanos, this::pass);
  }

  private long nanos() {
    return Duration.between(BEGIN, hour.instant()).toNanos();
  }

  Run open(Disk seen, StoreClock clock) {
    Tier tier = new LocalTier(seen, ROOT, clock, nonce(), staleness);
    return StoreRoot.openOrMake(tier, clock).runOrMake(RUN, clock, luck);
  }
}
