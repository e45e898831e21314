/// Shared memory and locks between processes, by the C library's own calls.
///
/// [SharedFile] is a file that two processes map, [RecordLock] a lock whose end tells a process's
/// death. The JDK is not enough here: it cannot reserve space, so a full `/dev/shm` would kill the
/// process by SIGBUS; it does not fault pages in; and its file locks cannot be probed. Linux only.
/// Called by `segment.file`, the agent and `dev.keepstone.client`. Imports `core` alone.
@NullMarked
package dev.keepstone.segment.memory;

import org.jspecify.annotations.NullMarked;
