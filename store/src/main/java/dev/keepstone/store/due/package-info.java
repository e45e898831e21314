/// Saves that somebody asked for: how the ranks of a start agree on the step (docs/spec/store.md,
/// section 11).
///
/// Start at [DueSteps]. Called by the agent, which proposes and looks, and by `save-now`, which
/// asks. Imports run and below.
@NullMarked
package dev.keepstone.store.due;

import org.jspecify.annotations.NullMarked;
