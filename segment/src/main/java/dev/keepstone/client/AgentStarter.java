package dev.keepstone.client;

import dev.keepstone.core.failure.KeepstoneException;
import dev.keepstone.segment.place.AgentDirectory;

/// Starts an agent where none answers.
@FunctionalInterface
public interface AgentStarter {
  /// Returns once an agent listens in that directory; several clients may ask at once.
  ///
  /// @throws KeepstoneException.AgentUnavailable where it cannot be started
  void start(AgentDirectory directory);

  /// Starts none and says so.
  static AgentStarter none() {
    return directory -> {
      throw new KeepstoneException.AgentUnavailable(
          "no agent answers", directory.socket().toString(), "keepstone agent start");
    };
  }
}
