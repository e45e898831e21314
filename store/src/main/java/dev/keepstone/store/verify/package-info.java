/// Whether a checkpoint is what was stored: [Verify] looks at it quickly (no tensor bytes) or
/// deeply (every byte), and reports every [Problem] by file, tensor and byte range.
///
/// [Scrub] does so for a whole run, holds what it reads, and says what a report means as a verdict.
///
/// Start at [Verify]. Called by the `verify` command, the agent's scrub, copies, and by tests of
/// everything that writes. Reads only; imports core and the store's rooms up to `store.hold`.
@NullMarked
package dev.keepstone.store.verify;

import org.jspecify.annotations.NullMarked;
