package dev.keepstone.testkit;

import org.jspecify.annotations.Nullable;

/// What one actor does: ordinary blocking code that takes a turn before each act that others can
/// see.
public interface Script {
  /// @return what the actor has to say in the end
  @Nullable Object play(Turns turns) throws Exception;
}
