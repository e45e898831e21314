package dev.keepstone.testkit;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// A directory of a [MemoryDisk] without its name: its names, and which of them are durable. What
/// is durable in a directory stays so whether or not the directory's own name is: that is its
/// parent's business.
final class Folder implements Node {
  final NavigableMap<String, Node> now = new TreeMap<>();

  private final NavigableMap<String, Node> durable = new TreeMap<>();
  private Instant modified;
  private final List<Change> unsynced = new ArrayList<>();

  Folder(Instant made) {
    modified = made;
  }

  @Override
  public Instant modified() {
    return modified;
  }

  void touch(Instant moment) {
    modified = moment;
  }

  /// One act on names: one made, one taken away, or both at once (a move, perhaps between two
  /// directories).
  record Change(@Nullable Place from, @Nullable Place to, @Nullable Node node) {}

  /// A name in a directory.
  record Place(Folder folder, String name) {}

  void make(String name, Node node) {
    change(new Change(null, new Place(this, name), node));
  }

  void remove(String name) {
    change(new Change(new Place(this, name), null, null));
  }

  void move(String name, Folder target, String newName) {
    Node node = now.get(name);
    change(new Change(new Place(this, name), new Place(target, newName), node));
  }

  private static void change(Change change) {
    Place from = change.from;
    if (from != null) {
      from.folder.now.remove(from.name);
      from.folder.unsynced.add(change);
    }
    Place to = change.to;
    if (to != null && change.node != null) {
      to.folder.now.put(to.name, change.node);
      if (from == null || from.folder != to.folder) {
        to.folder.unsynced.add(change);
      }
    }
  }

  /// Makes all names of this directory durable; a move as a whole, whichever end is synced.
  void sync() {
    for (Change change : List.copyOf(unsynced)) {
      Place from = change.from;
      if (from != null) {
        from.folder.durable.remove(from.name);
        from.folder.unsynced.remove(change);
      }
      Place to = change.to;
      if (to != null && change.node != null) {
        to.folder.durable.put(to.name, change.node);
        to.folder.unsynced.remove(change);
      }
    }
  }

  /// The directory after a crash, and all below it.
  Folder survivor(Aftermath aftermath) {
    Map<String, Node> left = new TreeMap<>(durable);
    for (Change change : unsynced) {
      if (aftermath.keeps(change)) {
        Place from = change.from;
        if (from != null && from.folder == this) {
          left.remove(from.name);
        }
        Place to = change.to;
        if (to != null && to.folder == this && change.node != null) {
          left.put(to.name, change.node);
        }
      }
    }
    Folder survivor = new Folder(modified);
    left.forEach((name, node) -> survivor.durable.put(name, aftermath.survivor(node)));
    survivor.now.putAll(survivor.durable);
    return survivor;
  }
}
