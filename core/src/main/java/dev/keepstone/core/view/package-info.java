/// One read-only view of any checkpoint: tensors with the pieces in which they lie, a state tree,
/// metadata.
///
/// Start at [CheckpointView]. [TensorStream] reads a tensor as if it lay in one piece. Formats and
/// stores show their checkpoints as one; inspect, convert, import and export see nothing else.
/// Imports tensors and JSON.
@NullMarked
package dev.keepstone.core.view;

import org.jspecify.annotations.NullMarked;
