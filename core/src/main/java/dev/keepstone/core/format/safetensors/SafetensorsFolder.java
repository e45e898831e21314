package dev.keepstone.core.format.safetensors;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/// Finds the files of a checkpoint behind a path: a file, an index, or a folder. Told by content;
/// names are only what they are listed under.
record SafetensorsFolder(Disk disk, Path folder) {
  /// What lies behind a path.
  ///
  /// @param files names in the folder; one, or those of the index
  record Found(Path folder, List<String> files, Optional<SafetensorsIndex> index) {}

  /// @return empty where the path is there and holds nothing of this format
  /// @throws NoSuchFileException where the path is not there
  /// @throws KeepstoneException.Refused where a folder holds several checkpoints
  /// @throws KeepstoneException.Integrity where an index or the set behind it is broken
  static Optional<Found> find(Disk disk, Path path) throws IOException {
    try {
      List<Disk.Entry> entries = disk.list(path);
      return entries.isEmpty()
          ? nothing(disk, path)
          : new SafetensorsFolder(disk, path).scan(entries);
    } catch (NotDirectoryException e) {
      return oneFile(disk, path);
    }
  }

  /// An empty folder, or no folder at all: a listing does not tell them apart.
  private static Optional<Found> nothing(Disk disk, Path path) throws IOException {
    try {
      disk.open(path).close();
    } catch (NoSuchFileException e) {
      throw e;
    } catch (IOException e) {
      // A folder, which not every system opens.
      return Optional.empty();
    }
    return Optional.empty();
  }

  private static Optional<Found> oneFile(Disk disk, Path path) throws IOException {
    Path absolute = path.toAbsolutePath().normalize();
    Path parent = absolute.getParent();
    Path name = absolute.getFileName();
    if (parent == null || name == null) {
      return Optional.empty();
    }
    return new SafetensorsFolder(disk, parent).file(name.toString());
  }

  private Optional<Found> file(String name) throws IOException {
    return switch (kind(name)) {
      case SAFETENSORS -> Optional.of(new Found(folder, List.of(name), Optional.empty()));
      case JSON -> {
        try (OpenFile file = disk.open(folder.resolve(name))) {
          yield SafetensorsIndex.read(file, describe(name)).map(this::set);
        }
      }
      case OTHER -> Optional.empty();
    };
  }

  private Optional<Found> scan(List<Disk.Entry> entries) throws IOException {
    Set<String> safetensors = new TreeSet<>();
    Set<String> json = new TreeSet<>();
    for (Disk.Entry entry : entries) {
      if (mayBeFile(entry)) {
        switch (kind(entry.name())) {
          case SAFETENSORS -> safetensors.add(entry.name());
          case JSON -> json.add(entry.name());
          case OTHER -> {}
        }
      }
    }
    if (safetensors.isEmpty()) {
      return Optional.empty();
    }
    List<String> indexNames = new ArrayList<>();
    List<SafetensorsIndex> indexes = new ArrayList<>();
    for (String name : json) {
      try (OpenFile file = disk.open(folder.resolve(name))) {
        SafetensorsIndex.read(file, describe(name))
            // An index of another format beside ours names none of our files.
            .filter(index -> index.weightMap().values().stream().anyMatch(safetensors::contains))
            .ifPresent(index -> {
              indexNames.add(name);
              indexes.add(index);
            });
      }
    }
    if (indexes.size() > 1 || indexes.isEmpty() && safetensors.size() > 1) {
      throw new KeepstoneException.Refused(
          indexes.isEmpty()
              ? "the folder holds " + safetensors.size() + " safetensors files and no index"
              : "the folder holds several indexes: " + String.join(", ", indexNames),
          folder.toString(),
          "name one of them: "
              + folder.resolve(
                  indexes.isEmpty() ? safetensors.iterator().next() : indexNames.getFirst()));
    }
    return Optional.of(
        indexes.isEmpty()
            ? new Found(folder, List.copyOf(safetensors), Optional.empty())
            : set(indexes.getFirst()));
  }

  private Found set(SafetensorsIndex index) {
    Set<String> files = new LinkedHashSet<>(index.weightMap().values());
    return new Found(folder, files.stream().sorted().toList(), Optional.of(index));
  }

  private enum Kind {
    SAFETENSORS,
    JSON,
    OTHER
  }

  /// Links are followed, since model hubs keep folders of them; what is no file behind one (a pipe
  /// would never answer) is passed over.
  private boolean mayBeFile(Disk.Entry entry) {
    return switch (entry.kind()) {
      case FILE -> true;
      case DIRECTORY -> false;
      case OTHER -> Files.isRegularFile(folder.resolve(entry.name()));
    };
  }

  private Kind kind(String name) throws IOException {
    try (OpenFile file = disk.open(folder.resolve(name))) {
      return SafetensorsReader.looksRight(file)
          ? Kind.SAFETENSORS
          : beginsWithBrace(file) ? Kind.JSON : Kind.OTHER;
    }
  }

  private static boolean beginsWithBrace(OpenFile file) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment start = arena.allocate(64);
      long count = file.read(0, start);
      for (long at = 0; at < count; at++) {
        byte c = start.get(ValueLayout.JAVA_BYTE, at);
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
          return c == '{';
        }
      }
      return false;
    }
  }

  private String describe(String name) {
    return folder.resolve(name).toString();
  }
}
