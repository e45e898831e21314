/// Starts of a run: [Starts] announces one, then chooses the checkpoint that all its ranks go on
/// from (docs/spec/store.md, section 4).
///
/// Start at [Starts#join]. Called by the agent for a trainer and by commands that make runs.
/// Imports hold, run and below.
@NullMarked
package dev.keepstone.store.start;

import org.jspecify.annotations.NullMarked;
