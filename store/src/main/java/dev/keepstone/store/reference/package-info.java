/// How people and programs name a checkpoint: [Reference] is `STORE/RUN@WHICH`, [CheckpointId] is
/// `3-500`.
///
/// Start at [Reference]. Called by commands, the agent and the library; the run's view answers
/// which checkpoint a [Which] is. Imports core only.
@NullMarked
package dev.keepstone.store.reference;

import org.jspecify.annotations.NullMarked;
