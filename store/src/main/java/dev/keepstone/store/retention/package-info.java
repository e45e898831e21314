/// Which checkpoints of a run are kept and which go, each with its reasons: [Retention] is a pure
/// function from what a look saw to a [Plan] (docs/spec/store.md, section 8).
///
/// Start at [Retention#plan]. Called by deletion, which executes it, and by commands, which show
/// it. Imports run and below; no tier, no clock.
@NullMarked
package dev.keepstone.store.retention;

import org.jspecify.annotations.NullMarked;
