/// Deletes checkpoints: [Deletion] announces the wish, waits the grace, looks for needs, and only
/// then takes bytes away (docs/spec/store.md, section 8).
///
/// Start at [Deletion#tick]. Called by the agent in the background, and by commands that wait.
/// Imports retention, hold, run and below.
@NullMarked
package dev.keepstone.store.deletion;

import org.jspecify.annotations.NullMarked;
