package dev.keepstone.testkit;

import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/// The names of a [MemoryDisk] at one moment.
final class Tree {
  final Set<Path> directories = new TreeSet<>();
  final Map<Path, Inode> files = new TreeMap<>();

  Tree copy() {
    Tree copy = new Tree();
    copy.directories.addAll(directories);
    copy.files.putAll(files);
    return copy;
  }

  /// One change of names: made (`from` is null), removed (`to` is null), or moved in one act.
  record NameChange(@Nullable Path from, @Nullable Path to, @Nullable Inode inode) {
    boolean in(Path directory) {
      return (from != null && directory.equals(from.getParent()))
          || (to != null && directory.equals(to.getParent()));
    }

    /// Applies this to a tree that may lack changes made before it: a name whose directory is
    /// missing there is lost with it.
    void replay(Tree tree) {
      if (from != null) {
        tree.files.remove(from);
        tree.directories.remove(from);
      }
      if (to != null && inode != null) {
        Path parent = to.getParent();
        if (parent != null && tree.directories.contains(parent)) {
          tree.files.put(to, inode);
        }
      }
    }
  }
}
