package dev.keepstone.agent.place;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/// How much memory this process and what it makes in `/dev/shm` may use: the machine's, or less
/// where a control group says so.
public final class Memory {
  private static final Path GROUPS = Path.of("/sys/fs/cgroup");

  private Memory() {}

  /// Bytes of memory of the machine or of the control group, whichever is less.
  public static long usableBytes() {
    long machine = machineBytes(read(Path.of("/proc/meminfo")).orElse(""));
    String own = read(Path.of("/proc/self/cgroup")).orElse("");
    return Math.min(machine, groupBytes(own, GROUPS));
  }

  /// Bytes of memory that this process has beyond shared memory: its heap, its stacks, the pages of
  /// its files; 0 where the system does not tell.
  public static long residentBytes() {
    return read(Path.of("/proc/self/status"))
        .orElse("")
        .lines()
        .filter(line -> line.startsWith("RssAnon:") || line.startsWith("RssFile:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024)
        .sum();
  }

  /// From the line `MemTotal: 24000000 kB`.
  static long machineBytes(String meminfo) {
    return meminfo
        .lines()
        .filter(line -> line.startsWith("MemTotal:"))
        .map(line -> line.replaceAll("[^0-9]", ""))
        .filter(digits -> !digits.isEmpty())
        .map(digits -> Long.parseLong(digits) * 1024)
        .findFirst()
        .orElse(Long.MAX_VALUE);
  }

  /// The smallest limit on the way from this process's group (version 2) to the root.
  static long groupBytes(String ownGroups, Path groups) {
    long least = Long.MAX_VALUE;
    for (String line : ownGroups.lines().filter(text -> text.startsWith("0::/")).toList()) {
      Path group = groups.resolve(line.substring("0::/".length())).normalize();
      while (group != null && group.startsWith(groups)) {
        Optional<String> limit = read(group.resolve("memory.max")).map(String::strip);
        if (limit.isPresent() && limit.get().matches("[0-9]{1,18}")) {
          least = Math.min(least, Long.parseLong(limit.get()));
        }
        group = group.getParent();
      }
    }
    return least;
  }

  private static Optional<String> read(Path file) {
    try {
      return Optional.of(Files.readString(file));
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
