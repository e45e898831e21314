/// Makes a checkpoint out of its parts: [Commit] puts one rank's part, and the manifest once all
/// are there (docs/spec/store.md, section 5).
///
/// Start at [Commit#publish]. Called by the agent after a drain, by an import, and by a start that
/// finds an attempt complete. Imports hold, run and below.
@NullMarked
package dev.keepstone.store.commit;

import org.jspecify.annotations.NullMarked;
