/// The agent's socket: one thread per connection, frames in, frames out.
///
/// Start at [Server]; what is said is a [Talk], which the agent supplies. A hostile or broken frame
/// ends its connection and nothing else. Knows no verb's meaning but the stream of events. Imports
/// `core`, `segment.wire` and the agent's `events`.
@NullMarked
package dev.keepstone.agent.serve;

import org.jspecify.annotations.NullMarked;
