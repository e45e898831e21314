/// What a tensor is: a name, a [Dtype], a [Shape], and the [Slice]s in which it lies stored.
///
/// Start at [Tensor] and [Piece]. Everything here is a record or an enum of facts; nothing reads,
/// writes or allocates tensor bytes. All sizes are overflow-checked where they are computed, so
/// that no caller has to do it again.
///
/// Used by every other package. Imports nothing of Keepstone.
@NullMarked
package dev.keepstone.core.tensor;

import org.jspecify.annotations.NullMarked;
