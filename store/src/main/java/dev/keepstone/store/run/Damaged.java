package dev.keepstone.store.run;

import dev.keepstone.core.failure.KeepstoneException;

/// An object that is there and cannot be trusted: torn, flipped, foreign or unreadable. It is named
/// and counts for nothing.
///
/// @param name in the store
/// @param why as it is told
public record Damaged(String name, KeepstoneException why) {
  /// Its name in its directory.
  public String file() {
    return name.substring(name.lastIndexOf('/') + 1);
  }
}
