/// The state tree: everything of a checkpoint that is not a tensor, as values that trainers' Python
/// objects map to one by one, and as typed JSON (docs/spec/state-tree.md).
///
/// Start at [StateNode], the closed set of values, and [StateTree], which reads, writes and fills
/// them. Nothing here runs code or looks a class up: types are names. Imports `core.json` only.
@NullMarked
package dev.keepstone.core.state;

import org.jspecify.annotations.NullMarked;
