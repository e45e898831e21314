/// The safetensors format: files, and sets of files with an index.
///
/// Start at [SafetensorsHeader], what a file says about itself. [SafetensorsReader] reads and
/// distrusts it, [SafetensorsEncoder] writes it, [SafetensorsWriter] streams a whole file of known
/// sizes, [SafetensorsView] shows a file, a set or a folder as a checkpoint. [SafetensorsIndex] is
/// `model.safetensors.index.json`.
///
/// The reader refuses what the reference reader refuses, and three things more: a name given twice
/// (the reference takes the last, other readers the first, and an attacker lives in between),
/// numbers beyond 63 bits, and ranks beyond 64. Every size is held against the bytes present before
/// anything is allocated for it.
///
/// Called by the view of stores, by convert, import and export, and by the segment's layout, whose
/// slots hold these headers. Imports tensors, bytes, JSON, failures and the view; no store.
@NullMarked
package dev.keepstone.core.format.safetensors;

import org.jspecify.annotations.NullMarked;
