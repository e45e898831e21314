/// Bytes on a disk and their checksums: [Disk] is every file system act Keepstone performs, the
/// rest is how bytes are checksummed.
///
/// Start at [Disk]. Product code gets a `Disk` passed in, so that a test can hand it one that
/// fails, tears or forgets. Nothing here knows tensors, JSON or stores. Imports nothing of
/// Keepstone.
@NullMarked
package dev.keepstone.core.bytes;

import org.jspecify.annotations.NullMarked;
