/// What may stand in Keepstone's way on a node: each thing looked at is a [Finding] that says what
/// was found and what to change.
///
/// Start at [NodeChecks] and [StoreChecks]. Called by the verb `doctor`. Imports `core.bytes`,
/// `segment.place` and `agent.place`.
@NullMarked
package dev.keepstone.cli.doctor;

import org.jspecify.annotations.NullMarked;
