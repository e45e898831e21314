/// What tests hand to product code in place of the world: disks that live in memory, fail, tear and
/// forget; a clock that stands still; seeds; and an explorer of every order of several actors'
/// steps.
///
/// Start at [MemoryDisk] (a fast disk that knows what a crash would leave of it), [NetworkDisk]
/// (the same behind a network), [FaultyDisk] (any disk, with chosen operations failing),
/// [Interleavings] (every order of a few steps) and [Shuffle] (one order of many). Called by the
/// tests of every module. Imports core only: what a module promises about its own contracts is
/// tested in that module.
@NullMarked
package dev.keepstone.testkit;

import org.jspecify.annotations.NullMarked;
