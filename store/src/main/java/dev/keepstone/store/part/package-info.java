/// One rank's receipt of what it stored of one checkpoint, or its refusal: [PartRecord] and its two
/// kinds (docs/spec/store.md, section 2).
///
/// Start at [Part]. Written by the agent's drain, read by commit, verify and restore. Pure: bytes
/// in, records out; no tier, no clock.
@NullMarked
package dev.keepstone.store.part;

import org.jspecify.annotations.NullMarked;
