/// From a sealed slot to a durable part: checksums, health, aligned writes, pacing.
///
/// Start at `Drain`. Each run of the agent calls it from a thread of its own, one generation at a
/// time. Knows nothing of sockets, clients or retention. Imports `core`, `store` and `segment`.
@NullMarked
package dev.keepstone.agent.drain;

import org.jspecify.annotations.NullMarked;
