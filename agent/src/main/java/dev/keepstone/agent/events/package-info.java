/// What happened, in order: remembered for streams, kept in `events.jsonl`, told in `agent.log`.
///
/// Start at [EventLog]. Everything that acts in the agent adds to it; connections read from it.
/// Imports `core` and `segment.wire` alone.
@NullMarked
package dev.keepstone.agent.events;

import org.jspecify.annotations.NullMarked;
