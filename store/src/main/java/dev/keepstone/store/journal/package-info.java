/// Writes what becomes known of checkpoints after their commit ([Journal]), and now and then all of
/// it together ([Snapshots]), so that a reader of a long run reads one object and what came after
/// (docs/spec/store.md, section 9).
///
/// Start at [Journal#append]. Called by commands and by the agent. Reading is the run's
/// (`store.run`), merging the facts' own (`store.fact`). Imports run and below; never deletion.
@NullMarked
package dev.keepstone.store.journal;

import org.jspecify.annotations.NullMarked;
