package dev.keepstone.core.convert;

import dev.keepstone.core.bytes.Disk;
import dev.keepstone.core.bytes.OpenFile;
import dev.keepstone.core.failure.KeepstoneException;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/// A file or folder that appears under its name complete, or not at all.
///
/// It is written under a hidden name beside the target, synced, and given its name by one act that
/// never replaces anything. Closed before that, it is gone. The death of the process leaves the
/// hidden name behind, never the target's.
final class Target implements AutoCloseable {
  private final Disk disk;
  private final Path target;
  private final Path parent;
  private final Path hidden;
  private final boolean folder;
  private final List<Path> made = new ArrayList<>();
  private final Set<Path> folders = new LinkedHashSet<>();
  private final List<Path> given = new ArrayList<>();
  private boolean published;

  /// @throws KeepstoneException.Refused where the name is taken
  Target(Disk disk, Path path, boolean folder) throws IOException {
    this.disk = disk;
    this.folder = folder;
    target = path.toAbsolutePath().normalize();
    Path up = target.getParent();
    if (up == null) {
      throw taken();
    }
    parent = up;
    disk.createDirectories(parent);
    Set<String> names = new HashSet<>();
    disk.list(parent).forEach(entry -> names.add(entry.name()));
    if (names.contains(target.getFileName().toString())) {
      throw taken();
    }
    int k = 1;
    while (names.contains(hiddenName(k))) {
      k++;
    }
    hidden = parent.resolve(hiddenName(k));
    if (folder) {
      disk.createDirectories(hidden);
    }
  }

  private String hiddenName(int k) {
    return "." + target.getFileName() + "." + k + ".tmp";
  }

  private KeepstoneException.Refused taken() {
    return new KeepstoneException.Refused(
        "the name is taken, and nothing is ever overwritten",
        target.toString(),
        "name a new " + (folder ? "folder" : "file") + ", or move this one away");
  }

  /// Makes one of the files; of a target that is no folder, the only one.
  ///
  /// @param name in the folder, or in a folder of it
  OpenFile create(String name) throws IOException {
    Path path = folder ? hidden.resolve(name) : hidden;
    Path up = path.getParent();
    if (folder && up != null && !up.equals(hidden) && folders.add(up)) {
      disk.createDirectories(up);
    }
    OpenFile file = disk.create(path);
    made.add(path);
    return file;
  }

  /// Gives everything its name. All files are closed and synced.
  ///
  /// @throws KeepstoneException.Refused where somebody took the name meanwhile
  void publish() throws IOException {
    try {
      if (folder) {
        for (Path inside : folders) {
          disk.syncDirectory(inside);
        }
        disk.syncDirectory(hidden);
        publishFolder();
      } else {
        publishFile(hidden, target);
      }
      disk.syncDirectory(parent);
      published = true;
    } catch (FileAlreadyExistsException e) {
      throw taken();
    }
    removeHidden();
  }

  private void publishFile(Path from, Path to) throws IOException {
    try {
      disk.link(from, to);
    } catch (UnsupportedOperationException e) {
      disk.renameToFree(from, to);
    }
    given.add(to);
  }

  private void publishFolder() throws IOException {
    try {
      disk.renameToFree(hidden, target);
      made.forEach(file -> given.add(inTarget(file)));
      folders.forEach(inside -> given.add(inTarget(inside)));
      given.add(target);
    } catch (UnsupportedOperationException e) {
      // Network file systems cannot rename to a free name. One by one then, in the order they were
      // made: the index, without which no reader takes the set, comes last.
      disk.createDirectories(target);
      for (Path inside : folders) {
        disk.createDirectories(inTarget(inside));
      }
      for (Path file : made) {
        publishFile(file, inTarget(file));
      }
      for (Path inside : folders) {
        disk.syncDirectory(inTarget(inside));
        given.add(inTarget(inside));
      }
      given.add(target);
      disk.syncDirectory(target);
    }
  }

  private Path inTarget(Path inHidden) {
    return target.resolve(hidden.relativize(inHidden));
  }

  /// Removes what was made, unless it was published.
  @Override
  public void close() {
    if (!published) {
      given.forEach(this::remove);
      removeHidden();
    }
  }

  private void removeHidden() {
    made.forEach(this::remove);
    folders.forEach(this::remove);
    if (folder) {
      remove(hidden);
    }
  }

  /// What cannot be removed stays; the failure that led here, if any, is the one to tell.
  private void remove(Path path) {
    try {
      disk.delete(path);
    } catch (IOException e) {
      System.getLogger(Target.class.getName())
          .log(System.Logger.Level.DEBUG, "left behind: " + path, e);
    }
  }
}
