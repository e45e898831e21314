/// How a trainer on the JVM saves and restores: docs/spec/wire.md and docs/spec/segment.md from the
/// trainer's side.
///
/// Start at [Client]: connect, start, restore, register, save, close. What the trainer waits for in
/// a save is a copy of memory; the agent does the rest. Called by trainers. Imports `core` and the
/// segment rooms.
@NullMarked
package dev.keepstone.client;

import org.jspecify.annotations.NullMarked;
