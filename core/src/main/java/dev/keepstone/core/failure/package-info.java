/// What can go wrong, by what the caller should do about it: [KeepstoneException] and its kinds.
///
/// Thrown by every room, turned into exit codes by the command and into error frames by the agent.
/// A kind exists only where a caller acts differently. Imports nothing of Keepstone.
@NullMarked
package dev.keepstone.core.failure;

import org.jspecify.annotations.NullMarked;
