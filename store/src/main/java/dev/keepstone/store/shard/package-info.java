/// Reading shards as they were summed up: a shard is [Granule]s, and what is read at once is a
/// [Span] of them.
///
/// Start at [Span]. Called by restore and verify. Imports core, `store.part` and `store.tier`;
/// knows no run and no manifest.
@NullMarked
package dev.keepstone.store.shard;

import org.jspecify.annotations.NullMarked;
