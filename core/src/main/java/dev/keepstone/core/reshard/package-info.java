/// From the pieces in which tensors were saved to the slices that somebody wants of them.
///
/// Start at [Reshard]: saved pieces × wanted slices → which granules of which pieces are needed.
/// [Overlap] is what one piece and one slice share, and copies it; [BoxIndex] finds the pieces that
/// a slice touches without looking at all of them. Everything here is arithmetic on boxes: nothing
/// reads a file.
///
/// Called by the agent and by the clients (restore), and by `core.convert` (joining tensors).
/// Imports tensors and bytes.
@NullMarked
package dev.keepstone.core.reshard;

import org.jspecify.annotations.NullMarked;
