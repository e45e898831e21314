package dev.keepstone.cli.doctor;

import dev.keepstone.agent.place.Lifespan;
import dev.keepstone.agent.place.Memory;
import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.place.AgentDirectory;
import dev.keepstone.segment.place.Outlives;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongFunction;

/// What an agent needs of its node: shared memory, memory, limits, a life longer than the
/// trainer's.
public final class NodeChecks {
  /// A container's default `/dev/shm`, and what nobody trains with.
  private static final long LITTLE_MEMORY = 1L << 30;

  private static final String LARGER =
      "docker and podman: --shm-size=64g, or --ipc=host; Kubernetes: an emptyDir with medium"
          + " Memory, mounted at /dev/shm; or set KEEPSTONE_AGENT_DIR to a folder of a larger"
          + " tmpfs";

  private final Map<String, String> environment;
  private final Disk disk;
  private final long needed;
  private final LongFunction<String> size;

  /// @param needed bytes of one rank's state times its ranks here, or 0 where nobody said
  /// @param size how bytes are spelled for people
  public NodeChecks(
      Map<String, String> environment, Disk disk, long needed, LongFunction<String> size) {
    this.environment = environment;
    this.disk = disk;
    this.needed = needed;
    this.size = size;
  }

  public List<Finding> all() throws IOException {
    AgentDirectory directory = AgentDirectory.of(environment);
    Path place = nearest(directory.path());
    return List.of(
        runtime(),
        directory(directory),
        sharedMemory(directory, place),
        memory(place),
        lockedMemory(limit("Max locked memory")),
        openFiles(limit("Max open files")),
        life(Lifespan.here(environment)));
  }

  private static Finding runtime() {
    String system = System.getProperty("os.name") + " " + System.getProperty("os.arch");
    String found = "Java " + Runtime.version() + " on " + system;
    return system.startsWith("Linux ")
        ? Finding.ok("runtime", found)
        : Finding.fail(
            "runtime", found, "the agent runs on Linux; here, commands on stores work alone");
  }

  private static Finding directory(AgentDirectory directory) {
    String name = directory.path().toString();
    try {
      if (Files.exists(directory.path())) {
        directory.check();
      }
      directory.socket();
      return Finding.ok("agent's folder", name);
    } catch (KeepstoneException e) {
      return Finding.fail("agent's folder", name + ": " + e.what(), e.next());
    }
  }

  private Finding sharedMemory(AgentDirectory directory, Path place) throws IOException {
    FileStore store = Files.getFileStore(place);
    long free = disk.usableBytes(place);
    String found =
        "%s free of %s at %s (%s)"
            .formatted(size.apply(free), size.apply(store.getTotalSpace()), place, store.type());
    if (!store.type().equals("tmpfs") && !store.type().equals("ramfs")) {
      return Finding.warn(
          "shared memory",
          found + ": segments on a disk, and gone through its cache",
          "set KEEPSTONE_AGENT_DIR to a folder of a tmpfs, as /dev/shm is");
    }
    if (needed > 0 && 2 * needed > free) {
      return Finding.fail(
          "shared memory",
          found + "; two slots of " + size.apply(needed) + " need " + size.apply(2 * needed),
          LARGER);
    }
    return free < LITTLE_MEMORY
        ? Finding.warn("shared memory", found, LARGER)
        : Finding.ok("shared memory", found);
  }

  private Finding memory(Path place) throws IOException {
    long usable = Memory.usableBytes();
    long shared = Files.getFileStore(place).getTotalSpace();
    String found = size.apply(usable) + " for this process and what it keeps in shared memory";
    if (needed > 0 && 2 * needed > usable) {
      return Finding.fail(
          "memory",
          found + "; two slots of " + size.apply(needed) + " need " + size.apply(2 * needed),
          "raise the control group's limit (docker: --memory; Kubernetes: resources.limits.memory;"
              + " Slurm: --mem): pages in /dev/shm count against it");
    }
    return shared > usable
        ? Finding.warn(
            "memory",
            found + ", less than the shared memory could take (" + size.apply(shared) + ")",
            "start the agent with --budget below the limit, so that nobody is killed for its pages")
        : Finding.ok("memory", found);
  }

  /// A GPU's driver locks the segment it copies into.
  static Finding lockedMemory(Optional<String> limit) {
    String found = limit.orElse("unknown");
    return found.equals("unlimited") || limit.isEmpty()
        ? Finding.ok("locked memory", found)
        : Finding.warn(
            "locked memory",
            "%s bytes: registering a segment with a GPU may be refused".formatted(found),
            "only for copies from a GPU: ulimit -l unlimited (docker: --ulimit memlock=-1; systemd:"
                + " LimitMEMLOCK=infinity)");
  }

  static Finding openFiles(Optional<String> limit) {
    String found = limit.orElse("unknown");
    boolean few = found.matches("[0-9]{1,9}") && Integer.parseInt(found) < 1024;
    return few
        ? Finding.warn("open files", found, "ulimit -n 4096 (systemd: LimitNOFILE=4096)")
        : Finding.ok("open files", found);
  }

  static Finding life(Outlives outlives) {
    return switch (outlives) {
      case NODE -> Finding.ok("agent's life", "it outlives the trainer and its shell");
      case JOB_STEP ->
          Finding.warn(
              "agent's life",
              "it ends with this job step",
              "start it outside the step (`keepstone agent start` in the node's prolog or as a"
                  + " systemd unit); else clients wait at their end until they are durable");
      case PROCESS ->
          Finding.warn(
              "agent's life",
              "it ends with this container",
              "run it in a container of its own beside the trainer, sharing /dev/shm"
                  + " (docs/guides/install.md); else clients wait at their end until they are"
                  + " durable");
    };
  }

  private static Optional<String> limit(String name) {
    try {
      return limit(name, Files.readString(Path.of("/proc/self/limits")));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /// The soft limit in a line of `/proc/self/limits`.
  static Optional<String> limit(String name, String limits) {
    return limits
        .lines()
        .filter(line -> line.startsWith(name + " "))
        .map(line -> line.substring(name.length()).strip().split("\\s+")[0])
        .findFirst();
  }

  /// The folder, or what it would be made in.
  private static Path nearest(Path folder) {
    Path place = folder;
    while (!Files.isDirectory(place) && place.getParent() != null) {
      place = place.getParent();
    }
    return place;
  }
}
