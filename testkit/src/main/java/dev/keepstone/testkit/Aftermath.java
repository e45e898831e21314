package dev.keepstone.testkit;

import java.util.IdentityHashMap;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// What luck makes of everything unsynced in one crash; nothing of it is left without luck.
final class Aftermath {
  /// How likely an unsynced change is kept, drawn once a crash: with one chance for all crashes,
  /// many changes would never be lost, or kept, together.
  private static final double[] CHANCES = {0.05, 0.5, 0.95};

  private final @Nullable RandomGenerator luck;
  private final double chance;
  private final Map<Folder.Change, Boolean> kept = new IdentityHashMap<>();
  private final Map<Node, Node> survivors = new IdentityHashMap<>();

  Aftermath(@Nullable RandomGenerator luck) {
    this.luck = luck;
    this.chance = luck == null ? 0 : CHANCES[luck.nextInt(CHANCES.length)];
  }

  private boolean isLucky() {
    return luck != null && luck.nextDouble() < chance;
  }

  /// A move between two directories is asked for by both.
  boolean keeps(Folder.Change change) {
    return kept.computeIfAbsent(change, _ -> isLucky());
  }

  /// What a name stands for afterwards; the same for two names of one file.
  Node survivor(Node node) {
    Node known = survivors.get(node);
    if (known != null) {
      return known;
    }
    Node survivor =
        switch (node) {
          case Folder folder -> folder.survivor(this);
          case Inode inode -> inode.survivor(luck);
        };
    survivors.put(node, survivor);
    return survivor;
  }
}
