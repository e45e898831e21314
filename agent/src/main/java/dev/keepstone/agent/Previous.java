package dev.keepstone.agent;

import dev.keepstone.agent.drain.Sharing;

/// The generation before another one, which stays in its slot until the two have been compared.
/// Guarded by [Roster].
final class Previous {
  private final LiveSegment segment;
  private final int slot;
  private boolean held = true;

  /// The slot is pinned until [#release].
  Previous(LiveSegment segment, int slot) {
    this.segment = segment;
    this.slot = slot;
    segment.slots.pin(slot);
  }

  /// Lets the slot go, once.
  void release() {
    if (held) {
      held = false;
      segment.slots.unpin(slot);
      segment.publish();
    }
  }

  /// Whether it is still there.
  boolean held() {
    return held;
  }

  Sharing.Image image() {
    return new Sharing.Image(segment.file, slot, segment.slots.generation(slot), segment.sharing);
  }
}
