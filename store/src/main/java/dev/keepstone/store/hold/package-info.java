/// Needs: [Secure] makes sure that a checkpoint somebody needs stays, [ReaderHold] is the need of
/// one reader (docs/spec/store.md, section 8).
///
/// Start at [Secure]: who needs puts the need and then looks for tombs; who deletes puts the tomb,
/// waits, and then looks for needs. Called by start, commit, restore and verify. Imports run and
/// below; never deletion.
@NullMarked
package dev.keepstone.store.hold;

import org.jspecify.annotations.NullMarked;
