/// The resident process of a node: takes what trainers seal, makes it durable, survives them.
///
/// Start at [Agent] (one agent, in this process) and [AgentMain] (the command); then [Roster] (who
/// is here), [Slots] (the life of a slot), [LiveRun] and [Publication] (from a sealed slot to the
/// manifest), [Restores] (and back). Below it, one package per job: `events` (what happened, for
/// people and programs), `drain` (slot to disk), `serve` (the socket and its verbs), `place` (where
/// and tied to what this process runs). Called by the `cli` module alone; trainers reach it only
/// through the socket (docs/spec/wire.md). Imports `core`, `store` and `segment`; never `cli`,
/// `demo` or `bench`.
///
/// Under load: [Budget] (who gets memory), [DueSaves] (saves that somebody asked for), [Upkeep]
/// (deletion and sweeping), [Leftovers] (what the dead left in memory).
@NullMarked
package dev.keepstone.agent;

import org.jspecify.annotations.NullMarked;
