package dev.keepstone.store.restore;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.store.shard.Span;
import org.jspecify.annotations.Nullable;

/// One span on its way into one slot of the window. Guarded by its stream.
final class Reading {
  final Span span;
  final int slot;

  /// Readers that want something of it and have not given it back.
  int holders;

  boolean done;

  /// Where the span begins in the window, once it is there.
  long in;

  @Nullable KeepstoneException failure;

  Reading(Span span, int slot) {
    this.span = span;
    this.slot = slot;
  }
}
