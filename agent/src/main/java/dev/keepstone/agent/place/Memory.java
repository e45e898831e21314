package dev.keepstone.agent.place;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

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

  /// Bytes that this process, and what it makes in shared memory, may still have: of what the
  /// machine has available and of what each control group on the way to the root leaves, the least.
  /// Pages of files that nobody uses count as free, as the kernel takes them back first.
  public static long headroomBytes() {
    long machine = kilobytes(read(Path.of("/proc/meminfo")).orElse(""), "MemAvailable:");
    return Math.min(machine, groupHeadroom(read(Path.of("/proc/self/cgroup")).orElse(""), GROUPS));
  }

  /// The least that is left on the way from this process's group to the root.
  static long groupHeadroom(String ownGroups, Path groups) {
    long least = Long.MAX_VALUE;
    for (Path group : way(ownGroups, groups)) {
      OptionalLong limit = number(group.resolve("memory.max"));
      OptionalLong used = number(group.resolve("memory.current"));
      if (limit.isPresent() && used.isPresent()) {
        long idle =
            read(group.resolve("memory.stat"))
                .orElse("")
                .lines()
                .filter(line -> line.startsWith("inactive_file "))
                .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
                .sum();
        least = Math.min(least, Math.max(0, limit.getAsLong() - used.getAsLong() + idle));
      }
    }
    return least;
  }

  /// From the line `MemTotal: 24000000 kB`.
  static long machineBytes(String meminfo) {
    return kilobytes(meminfo, "MemTotal:");
  }

  private static long kilobytes(String meminfo, String field) {
    return meminfo
        .lines()
        .filter(line -> line.startsWith(field))
        .map(line -> line.replaceAll("[^0-9]", ""))
        .filter(digits -> !digits.isEmpty())
        .map(digits -> Long.parseLong(digits) * 1024)
        .findFirst()
        .orElse(Long.MAX_VALUE);
  }

  /// The smallest limit on the way from this process's group (version 2) to the root.
  static long groupBytes(String ownGroups, Path groups) {
    return way(ownGroups, groups).stream()
        .flatMapToLong(group -> number(group.resolve("memory.max")).stream())
        .min()
        .orElse(Long.MAX_VALUE);
  }

  /// This process's group and all above it.
  private static List<Path> way(String ownGroups, Path groups) {
    List<Path> way = new ArrayList<>();
    for (String line : ownGroups.lines().filter(text -> text.startsWith("0::/")).toList()) {
      Path group = groups.resolve(line.substring("0::/".length())).normalize();
      while (group != null && group.startsWith(groups)) {
        way.add(group);
        group = group.getParent();
      }
    }
    return way;
  }

  /// Empty for the word `max`, and where there is no such file.
  private static OptionalLong number(Path file) {
    return read(file).map(String::strip).filter(text -> text.matches("[0-9]{1,18}")).stream()
        .mapToLong(Long::parseLong)
        .findFirst();
  }

  private static Optional<String> read(Path file) {
    try {
      return Optional.of(Files.readString(file));
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
