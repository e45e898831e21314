package dev.keepstone.segment.wire;

import dev.keepstone.core.failure.KeepstoneException;
import org.jspecify.annotations.Nullable;

/// How an attempt to save ended.
public sealed interface Ended {
  /// The checkpoint's id.
  String id();

  /// @param durableMs from the call of save to the manifest
  record Committed(String id, double durableMs) implements Ended {}

  /// It will not be committed, for this reason.
  record Failed(String id, KeepstoneException error) implements Ended {}

  /// A newer start has taken over.
  record Fenced(String id) implements Ended {}

  /// Whether it was committed cannot be known yet.
  ///
  /// @param error why, where that is known
  record Unknown(String id, @Nullable KeepstoneException error) implements Ended {}
}
