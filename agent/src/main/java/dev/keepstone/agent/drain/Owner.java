package dev.keepstone.agent.drain;

import dev.keepstone.store.part.ShardReceipt;
import dev.keepstone.store.reference.CheckpointId;

/// A file that holds exactly the bytes that a shard image had.
///
/// @param generation whose image it was
/// @param home the checkpoint in whose folder the file lies; it may not be committed yet
/// @param receipt of the file, as seen from there
public record Owner(long generation, CheckpointId home, ShardReceipt receipt) {
  /// The receipt as a part of another checkpoint has it.
  public ShardReceipt used() {
    return receipt.usedFrom(home);
  }

  Owner at(long other) {
    return new Owner(other, home, receipt);
  }
}
