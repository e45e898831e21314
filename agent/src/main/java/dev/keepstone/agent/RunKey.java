package dev.keepstone.agent;

import java.nio.file.Path;

/// Names a run on this node.
///
/// @param store the store's root, absolute
/// @param run its name in the store
record RunKey(Path store, String run) {
  RunKey {
    store = store.toAbsolutePath().normalize();
  }

  @Override
  public String toString() {
    return store + "/" + run;
  }
}
