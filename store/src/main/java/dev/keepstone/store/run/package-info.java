/// One run as it lies in a tier: [StoreRoot] finds it, [Run] looks at it, [View] is what a look saw
/// and what follows: the line, what is visible, which checkpoint a name means.
///
/// Start at [Run#look]. Called by start, commit, hold, deletion, by commands and by the agent.
/// Reads only, markers apart; imports tier, object, part, manifest and reference.
@NullMarked
package dev.keepstone.store.run;

import org.jspecify.annotations.NullMarked;
