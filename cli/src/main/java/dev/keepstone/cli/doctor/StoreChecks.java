package dev.keepstone.cli.doctor;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.LongFunction;

/// What a folder that is, or is to be, a store can do: tried with files of its own, which are
/// removed again.
public final class StoreChecks {
  private static final int BLOCK = 8 << 20;

  /// Types of file systems that several nodes see; of those that are none of these most are local.
  private static final Set<String> SHARED =
      Set.of(
          "nfs",
          "nfs4",
          "lustre",
          "gpfs",
          "beegfs",
          "ceph",
          "cifs",
          "smb3",
          "9p",
          "virtiofs",
          "glusterfs",
          "pvfs2",
          "wekafs",
          "afs");

  private static final Duration SKEW = Duration.ofSeconds(5);

  private final Disk disk;
  private final Path store;
  private final String nonce;
  private final Instant now;
  private final LongFunction<String> size;

  /// @param nonce of the names of probes
  /// @param size how bytes are spelled for people
  public StoreChecks(Disk disk, Path store, String nonce, Instant now, LongFunction<String> size) {
    this.disk = disk;
    this.store = store;
    this.nonce = nonce;
    this.now = now;
    this.size = size;
  }

  /// @param bytes a checkpoint is expected to have, or 0
  public List<Finding> all(long bytes) throws IOException {
    if (!Files.isDirectory(store)) {
      return List.of(
          Finding.fail("store", "no folder " + store, "mkdir, or mount it, or name another"));
    }
    List<Finding> findings = new ArrayList<>();
    findings.add(space(bytes));
    findings.add(sharing());
    Path probe = store.resolve("doctor." + nonce + ".tmp");
    Path second = store.resolve("doctor." + nonce + ".2.tmp");
    try {
      findings.add(writing(probe));
      findings.add(names(probe, second));
      disk.syncDirectory(store);
      disk.modified(probe).ifPresent(written -> findings.add(clock(written)));
    } catch (IOException e) {
      findings.add(
          Finding.fail("writing", String.valueOf(e), "see that this user may write to " + store));
    } finally {
      disk.delete(probe);
      disk.delete(second);
    }
    return findings;
  }

  private Finding space(long bytes) throws IOException {
    long free = disk.usableBytes(store);
    String found = size.apply(free) + " free";
    return bytes > 0 && free < 2 * bytes
        ? Finding.warn(
            "space",
            found + ", less than two checkpoints of " + size.apply(bytes),
            "make room, or keep fewer: keepstone prune --dry-run tells what would go")
        : Finding.ok("space", found);
  }

  private Finding sharing() throws IOException {
    String type = Files.getFileStore(store).type();
    boolean shared = SHARED.contains(type) || type.startsWith("fuse");
    return Finding.ok(
        "file system",
        type
            + (shared
                ? ", which other nodes may see too"
                : ", local to this node: enough for one node; ranks on several need a shared one"));
  }

  private Finding writing(Path probe) throws IOException {
    try (Arena arena = Arena.ofConfined();
        OpenFile file = disk.create(probe)) {
      MemorySegment block = arena.allocate(BLOCK, OpenFile.ALIGNMENT);
      file.write(0, block);
      boolean direct = file.isDirect();
      file.truncate(0);
      file.write(0, MemorySegment.ofArray("probe\n".getBytes(StandardCharsets.UTF_8)));
      file.sync();
      return direct
          ? Finding.ok("writing", "around the page cache (O_DIRECT)")
          : Finding.warn(
              "writing",
              "the file system refuses O_DIRECT: writes go through the page cache, slower and at"
                  + " more CPU",
              "nothing has to be changed; a mount that allows O_DIRECT is faster");
    }
  }

  /// What a put needs (docs/spec/store.md §3).
  private Finding names(Path probe, Path second) throws IOException {
    try {
      disk.link(probe, second);
      return Finding.ok("names", "hard links, so that a name is given at most once");
    } catch (UnsupportedOperationException e) {
      return renames(probe, second);
    }
  }

  private Finding renames(Path probe, Path second) throws IOException {
    try {
      disk.renameToFree(probe, second);
      return Finding.ok("names", "renames to a free name, so that one is given at most once");
    } catch (UnsupportedOperationException e) {
      return Finding.fail(
          "names",
          "neither hard links nor renames to a free name: two writers could overwrite each other",
          "put the store on another file system");
    }
  }

  private Finding clock(Instant written) {
    Duration apart = Duration.between(now, written).abs();
    String found = "%.1f s apart from this node's".formatted(apart.toMillis() / 1e3);
    return apart.compareTo(SKEW) > 0
        ? Finding.warn(
            "clock of the store",
            found,
            "nothing is decided by it, but ages are shown wrong: run NTP on both")
        : Finding.ok("clock of the store", found);
  }
}
