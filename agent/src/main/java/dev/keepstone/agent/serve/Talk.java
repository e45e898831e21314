package dev.keepstone.agent.serve;

import dev.keepstone.segment.wire.Answer;
import dev.keepstone.segment.wire.Request;

/// One connection's conversation, used by one thread.
public interface Talk {
  /// Answers one request.
  ///
  /// @throws dev.keepstone.core.failure.KeepstoneException to be told to the client as it is
  Answer answer(Request<?> request) throws InterruptedException;

  /// The answer stands on the wire, or could not be written. What must not happen before the client
  /// knows, happens here.
  void answered(Request<?> request);

  /// The agent's figures, for a peer that speaks HTTP.
  String metrics();

  /// The connection has ended, whoever ended it.
  void ended();
}
