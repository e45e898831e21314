package dev.keepstone.cli;

import dev.keepstone.core.json.Json;
import dev.keepstone.segment.wire.Event;

/// What reaches the quickstart from its processes, in the order of arrival.
sealed interface QuickstartNews {
  /// A line of a trainer's output.
  record Said(Json.Obj line) implements QuickstartNews {}

  /// A trainer's process is gone, and all that it said has been read.
  ///
  /// @param code its exit status; 137 after SIGKILL
  record TrainerEnded(int code) implements QuickstartNews {}

  /// An event of the agent.
  record Told(Event event) implements QuickstartNews {}

  /// The agent's events ended although nobody asked it to stop.
  record AgentEnded(String why) implements QuickstartNews {}
}
