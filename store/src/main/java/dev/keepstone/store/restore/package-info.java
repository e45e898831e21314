/// Bringing tensor bytes of a checkpoint back from a tier: a [RestorePlan] says what one reader
/// gets and where it lies in that reader's stream; a [RestoreStream] reads what any of its readers
/// wants ahead into memory of the caller, once, every byte checked.
///
/// Start at [RestoreStream]. Called by the agent for `want` and `next` of the wire protocol.
/// Imports `core.reshard`, `store.tier`, `store.part` and `store.shard`.
@NullMarked
package dev.keepstone.store.restore;

import org.jspecify.annotations.NullMarked;
