/// The object whose presence commits a checkpoint: [Manifest], a function of the parts, and
/// [Cover], the proof that the parts are the tensors (docs/spec/store.md, section 7).
///
/// Start at [Manifest]. Put by commit, read by everyone. Pure: parts in, manifest out; no tier, no
/// clock.
@NullMarked
package dev.keepstone.store.manifest;

import org.jspecify.annotations.NullMarked;
