/// What differs between two checkpoints: tensors added, removed, renamed and changed, by how much,
/// and the paths at which their state trees part.
///
/// Start at [Diff]. Called by the `diff` command. Sees checkpoints as views only, whatever their
/// format; imports tensors, views, JSON and the selection of `core.convert`, no store.
@NullMarked
package dev.keepstone.core.diff;

import org.jspecify.annotations.NullMarked;
