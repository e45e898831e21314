/// Python's pickles as inert values: read, never run.
///
/// Start at [PickledState], which reads the pickle of a checkpoint and tells its state tree and its
/// tensors. [Unpickler] is the interpreter: it knows all opcodes of protocols 0 to 5 that can lie
/// on a disk, and builds a [Value] of names, arguments and states where Python would call
/// something. [Globals] is what a pickle may name; a name beyond it is refused with its byte
/// offset, the first one first. [Rebuild] recognises a closed set of calls, such as those that make
/// tensors, and gives everything else as an opaque object.
///
/// Every length is held against the bytes present and against a named limit before anything is
/// allocated for it. Tensor bytes are not read here: a tensor says in which storage it lies, where,
/// and with which strides.
///
/// Called by formats. Imports tensors, the state tree, JSON, failures and open files; no format.
@NullMarked
package dev.keepstone.core.pickle;

import org.jspecify.annotations.NullMarked;
