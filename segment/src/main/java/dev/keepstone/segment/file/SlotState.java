package dev.keepstone.segment.file;

import java.util.Optional;

/// Where a slot stands in its life (docs/spec/segment.md section 5).
public enum SlotState {
  /// Nobody's.
  FREE(0),
  /// The client may write it.
  LENT(1),
  /// It holds a generation that the agent knows of.
  SEALED(2),
  /// The agent is writing it to the store.
  DRAINING(3),
  /// Its generation has ended, and it is the newest sealed one.
  KEPT(4);

  private final int code;

  SlotState(int code) {
    this.code = code;
  }

  /// What is written.
  int code() {
    return code;
  }

  static Optional<SlotState> of(int code) {
    for (SlotState state : values()) {
      if (state.code == code) {
        return Optional.of(state);
      }
    }
    return Optional.empty();
  }
}
