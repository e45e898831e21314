/// What becomes known of checkpoints after their commit: metrics, pins, tags, verdicts, deletions
/// ([Fact]); the objects that carry it ([Batch]); and what all of it together says ([Facts]), the
/// same in whatever order and however often it is read (docs/spec/store.md, section 9).
///
/// Start at [Facts#merge]. The run reads, the journal writes. Imports manifest and below; no tier,
/// no clock.
@NullMarked
package dev.keepstone.store.fact;

import org.jspecify.annotations.NullMarked;
