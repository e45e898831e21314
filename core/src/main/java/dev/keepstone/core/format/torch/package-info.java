/// What `torch.save` writes: the zip of torch 1.6 to today, and the stream before it.
///
/// Start at [TorchView], which shows a file as a checkpoint. [ZipDirectory] reads the archive's
/// directory and distrusts it, [LegacyStream] the old form; the pickle inside is read by
/// `core.pickle` and never run. [StridedReader] gives a tensor's row-major bytes whatever its
/// strides are.
///
/// A tensor whose elements do not follow each other in its storage (transposed, sliced, expanded)
/// is shown as one whole piece at its first byte, and gathered while it is read, in blocks of the
/// storage: pieces by rows would be as many as rows, and by elements in the worst case. Only
/// metadata, and what the pickle itself holds, is kept on the heap.
///
/// The archive's checksums, which torch never looks at, are looked at on request.
///
/// Imports pickles, tensors, the view, failures and open files; no store.
@NullMarked
package dev.keepstone.core.format.torch;

import org.jspecify.annotations.NullMarked;
