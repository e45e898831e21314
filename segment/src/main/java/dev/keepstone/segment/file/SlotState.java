package dev.keepstone.segment.file;

/// Where a slot stands in its life (docs/spec/segment.md section 5). The ordinal is what is
/// written.
public enum SlotState {
  /// Nobody's.
  FREE,
  /// The client may write it.
  LENT,
  /// It holds a generation that the agent knows of.
  SEALED,
  /// The agent is writing it to the store.
  DRAINING,
  /// Its generation has ended, and it is the newest sealed one.
  KEPT
}
