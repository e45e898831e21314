/// What decides when to save: pure functions over figures, the same wherever they are asked.
///
/// Start at [SaveInterval], which says how often to save; [LostTime] is the model it is judged by,
/// and [FailureSimulation] plays it. Called by the verb `advise`. Imports nothing of Keepstone: no
/// tier, no clock.
@NullMarked
package dev.keepstone.store.policy;

import org.jspecify.annotations.NullMarked;
