package dev.keepstone.store.commit;

import dev.keepstone.store.part.PartRecord;

/// What became of a rank's part.
public sealed interface PartOutcome {
  /// It stands.
  record Stands() implements PartOutcome {}

  /// Another one of the same rank stands; the shards of this one have been removed.
  record Lost(PartRecord standing) implements PartOutcome {}

  /// Nobody can say yet; nothing was removed.
  record Unknown(String why) implements PartOutcome {}
}
