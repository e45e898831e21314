/// Whether a checkpoint is what was stored: [Verify] looks at it quickly (no tensor bytes) or
/// deeply (every byte), and reports every [Problem] by file, tensor and byte range.
///
/// Start at [Verify]. Called by the `verify` command and by tests of everything that writes. Reads
/// only; imports core and the store's rooms up to `store.run`.
@NullMarked
package dev.keepstone.store.verify;

import org.jspecify.annotations.NullMarked;
