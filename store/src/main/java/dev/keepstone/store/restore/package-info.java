/// Bringing the tensor bytes of a checkpoint back from a tier: [RestorePlan] says where in one
/// stream each piece lies, and [RestoreStream] reads that stream ahead into memory of the caller,
/// every byte checked.
///
/// Start at [RestorePlan]. Called by the agent for `open` and `next` of the wire protocol. Imports
/// `store.tier`, `store.part` and `store.shard`.
@NullMarked
package dev.keepstone.store.restore;

import org.jspecify.annotations.NullMarked;
