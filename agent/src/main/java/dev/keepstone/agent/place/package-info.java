/// Where this process stands: what its end is tied to, its session, who is on the other side of a
/// socket.
///
/// Start at [Lifespan]. Called by the agent when it starts and by `serve` for each connection.
/// Imports nothing of Keepstone.
@NullMarked
package dev.keepstone.agent.place;

import org.jspecify.annotations.NullMarked;
